package paper

import (
	"context"
	"fmt"
	"math"

	"cartwheel/store/ring"
	"cartwheel/store/ring/strategy"
)

// What the paper compares on (section 6.2).
const (
	ringNodes    = 30
	ringReplicas = 3
	tolerance    = 0.15 // beyond which a node is off the mean
)

// A scheme makes the finest placement that fits into some bytes of what every node must know; none if none does.
type scheme struct {
	name string
	make func(o Options, run, sizeBytes int) (strategy.Placement, error)
	same bool // for every seed
}

func schemes() []scheme {
	s1 := func(tokens int) strategy.Placement {
		return strategy.RandomTokens(Options{}.rand(0), ringNodes, ringReplicas, tokens)
	}
	perToken := s1(1).SizeBytes
	return []scheme{
		{name: "1: random tokens", make: func(o Options, run, size int) (strategy.Placement, error) {
			if size < perToken {
				return strategy.Placement{}, nil
			}
			return strategy.RandomTokens(o.rand(run), ringNodes, ringReplicas, size/perToken), nil
		}},
		{name: "2: random tokens, equal partitions", make: func(o Options, run, size int) (strategy.Placement, error) {
			return finest(size, func(tokens int) strategy.Placement {
				return strategy.TokensAndPartitions(o.rand(run), ringNodes, ringReplicas, tokens, partitionsFor(tokens))
			}), nil
		}},
		{name: "3: equal partitions, Q/S a node", make: func(o Options, run, size int) (strategy.Placement, error) {
			return strategy.EqualTokens(o.rand(run), ringNodes, ringReplicas, size/2), nil
		}},
		{name: "owner sets (package ring)", same: true, make: func(_ Options, _, size int) (strategy.Placement, error) {
			partitions := 0
			for q := 64; q <= ring.PartitionsMax && q*2*ringReplicas <= size; q *= 2 {
				partitions = q
			}
			if partitions == 0 {
				return strategy.Placement{}, nil
			}
			return strategy.OwnerSets(ringNodes, ringReplicas, partitions)
		}},
	}
}

// partitionsFor is Q of strategy 2, far more than the tokens of all nodes, as the paper wants it.
func partitionsFor(tokens int) int { return 8 * ringNodes * tokens }

// finest doubles the number of tokens as long as the placement fits.
func finest(sizeBytes int, make func(tokens int) strategy.Placement) (best strategy.Placement) {
	for tokens := 1; ; tokens *= 2 {
		p := make(tokens)
		if p.SizeBytes > sizeBytes {
			return best
		}
		best = p
	}
}

// strategies compares how even the strategies are at equal sizes, and what the next node that joins costs.
func strategies(ctx context.Context, o Options) (r Result, err error) {
	even := Table{Title: fmt.Sprintf("mean load / highest load, %d nodes, N = %d, by what every node must know", ringNodes, ringReplicas), Head: []string{"strategy"}}
	chart := Chart{Name: "strategies", Title: "Efficiency of load balancing", X: "membership information, bytes", Y: "mean load / highest load", Logarithmic: true}
	var sizes []int
	for size := 1 << 9; size <= 1<<17; size *= 2 {
		sizes = append(sizes, size)
		even.Head = append(even.Head, sizeOf(size))
	}
	enough := map[string]int{} // smallest size with an efficiency of 0.9
	for _, s := range schemes() {
		row, line := []string{s.name}, Series{Name: s.name}
		for _, size := range sizes {
			e, err := s.efficiency(o, size)
			if err != nil {
				return r, err
			}
			if math.IsNaN(e) {
				row = append(row, "-")
				continue
			}
			if enough[s.name] == 0 && e >= 0.9 {
				enough[s.name] = size
			}
			row = append(row, fmt.Sprintf("%.2f", e))
			line.X, line.Y = append(line.X, float64(size)), append(line.Y, e)
			r.Numbers = append(r.Numbers, Number{fmt.Sprintf("strategy_%c_%d", s.name[0], size), e, "1"})
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
		even.Rows, chart.Series = append(even.Rows, row), append(chart.Series, line)
	}
	names := schemes()
	if a, b := enough[names[0].name], enough[names[2].name]; a > 0 && b > 0 {
		r.Remarks = append(r.Remarks, fmt.Sprintf("For 0.9 strategy 1 needs %s and strategy 3 %s: %d times less here, where the paper says three orders of magnitude.", sizeOf(a), sizeOf(b), a/b))
	}
	join, err := joins(o)
	if err != nil {
		return r, err
	}
	r.Tables, r.Charts = []Table{even, join}, []Chart{chart}
	r.Remarks = append(r.Remarks,
		"Strategy 2 is as even as 1 at equal tokens; it is worst because every node must know its partitions besides. Keys of a range that is cut must be found by a scan, and its hash trees made anew: what took strategy 1 a day.")
	return r, nil
}

// efficiency is the mean of the runs; NaN: nothing fits.
func (s scheme) efficiency(o Options, size int) (float64, error) {
	runs, sum := o.runs(10), 0.0
	if s.same {
		runs = 1
	}
	for run := range runs {
		p, err := s.make(o, run, size)
		if err != nil {
			return 0, err
		}
		if p.Nodes == 0 {
			return math.NaN(), nil
		}
		sum += strategy.Efficiency(p.Loads()) / float64(runs)
	}
	return sum, nil
}

// joins tells what the node after the last costs under settings of about the same evenness.
func joins(o Options) (t Table, err error) {
	t = Table{
		Title: fmt.Sprintf("one node more than %d: what is copied (fair: %.1f %%) and how many ranges are cut", ringNodes, 100.0/(ringNodes+1)),
		Head:  []string{"strategy", "of all replicas copied", "ranges cut"},
	}
	const tokens, partitions = 64, 1024
	var s1, s2, s3 strategy.Step
	runs := o.runs(10)
	for run := range runs {
		grow := func(sum *strategy.Step, make func(nodes int) strategy.Placement) {
			add(sum, strategy.Between(make(ringNodes), make(ringNodes+1)), runs)
		}
		grow(&s1, func(nodes int) strategy.Placement {
			return strategy.RandomTokens(o.rand(run), nodes, ringReplicas, tokens)
		})
		grow(&s2, func(nodes int) strategy.Placement {
			return strategy.TokensAndPartitions(o.rand(run), nodes, ringReplicas, tokens, partitionsFor(tokens))
		})
		before := strategy.EqualTokens(o.rand(run), ringNodes, ringReplicas, partitions)
		add(&s3, strategy.Between(before, strategy.Joined(o.rand(-2-run), before, ringReplicas)), runs)
	}
	before, after, err := strategy.OwnerSetsJoined(ringNodes, ringReplicas, partitions)
	if err != nil {
		return t, err
	}
	for _, row := range []struct {
		name string
		step strategy.Step
	}{
		{fmt.Sprintf("1, %d tokens a node", tokens), s1},
		{fmt.Sprintf("2, the same, %d partitions", partitionsFor(tokens)), s2},
		{fmt.Sprintf("3, %d partitions", partitions), s3},
		{fmt.Sprintf("owner sets, %d partitions", partitions), strategy.Between(before, after)},
	} {
		t.Rows = append(t.Rows, []string{row.name, percent(row.step.Moved), fmt.Sprint(row.step.Cut)})
	}
	return t, nil
}

// add adds one of so many runs to a mean. Cuts are as many in each, or nearly.
func add(sum *strategy.Step, s strategy.Step, runs int) {
	sum.Moved += s.Moved / float64(runs)
	sum.Cut = max(sum.Cut, s.Cut)
}

func sizeOf(bytes int) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
