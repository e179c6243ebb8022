package paper

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// A Figure is an experiment of the paper.
type Figure struct {
	Name      string // by which it is asked for
	Section   string // of the paper
	Title     string // what is asked, in one line
	Published string // what the paper says came out
	play      func(context.Context, Options) (Result, error)
}

// Options of an experiment.
type Options struct {
	Seed uint64 // of everything random
	Runs int    // how often what is random is repeated, each with a seed of its own; default 10, of simulated clusters 3
}

func (o Options) runs(otherwise int) int {
	if o.Runs > 0 {
		return o.Runs
	}
	return otherwise
}

// rand returns the random numbers of one run.
func (o Options) rand(run int) *rand.Rand { return rand.New(rand.NewPCG(o.Seed, uint64(run)+1)) }

// A Result is what came out.
type Result struct {
	Tables  []Table
	Numbers []Number
	Charts  []Chart
	Remarks []string // how to read it, in sentences
}

// A Table is for people.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// A Number is for programs.
type Number struct {
	Name  string
	Value float64
	Unit  string // "1" for a ratio
}

// A Chart is lines over one axis.
type Chart struct {
	Name, Title, X, Y string
	Logarithmic       bool // the X axis
	Series            []Series
}

// A Series is one line.
type Series struct {
	Name string
	X, Y []float64
}

// Figures lists the experiments, in the order of the paper.
func Figures() []Figure {
	return []Figure{
		{"clocks", "4.4", "what do vector clocks lose, and what does truncation cost?", "clocks are truncated at ten pairs, say; the problem this leads to \"has not surfaced in production\"", clocks},
		{"imbalance", "6.2, figure 6", "how many nodes are off the mean load by more than 15 %, by load?", "20 % at low load, close to 10 % at high load, which is eight times as much", imbalance},
		{"strategies", "6.2, figures 7 and 8", "how evenly do the strategies of partitioning load 30 nodes, by what every node must know?", "strategy 3 is best, strategy 2 worst; strategy 3 needs a thousandth of the membership information of strategy 1", strategies},
		{"versions", "6.3", "how many versions does a read show, by the number of concurrent writers?", "1: 99.94 %, 2: 0.00057 %, 3: 0.00047 %, 4: 0.00009 % (as printed; they do not add up); caused by concurrent writers, not by failures", versions},
		{"routing", "6.4, table 2", "what do clients gain that coordinate by themselves?", "99.9th percentile 68.9 and 68.5 ms (reads, writes) by servers, 30.4 and 30.4 by clients; average 3.9 and 4.02, against 1.55 and 1.9", routing},
		{"availability", "6.6", "how many requests succeed while nodes die, hang and are cut off?", "99.9995 % over two years", availability},
	}
}

// Play makes the experiment.
func (f Figure) Play(ctx context.Context, o Options) (Result, error) {
	r, err := f.play(ctx, o)
	if err != nil {
		return r, fmt.Errorf("%s: %w", f.Name, err)
	}
	return r, nil
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
