package mutation

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cartwheel/harness"
)

// A Matrix says which checker caught which mutant, and how the control fared.
type Matrix struct {
	Mutants []Row        `json:"mutants"`
	Control []ControlRun `json:"control"`
}

// A Row is one mutant's story.
type Row struct {
	Mutant   Mutant    `json:"mutant"`
	Killed   bool      `json:"killed"` // by the last attempt
	Attempts []Attempt `json:"attempts"`
}

// A ControlRun is a run of the unmutated store.
type ControlRun struct {
	Workload string  `json:"workload"`
	Nemesis  string  `json:"nemesis"`
	Attempt  Attempt `json:"attempt"`
}

// An Attempt is one run and what its checkers reported.
type Attempt struct {
	Seed     uint64          `json:"seed"`
	Verdict  harness.Verdict `json:"verdict"` // unknown if there was an error
	Reason   string          `json:"reason,omitempty"`
	Findings []Report        `json:"findings,omitempty"` // anomalies only
	Killed   bool            `json:"killed,omitempty"`
	Error    string          `json:"error,omitempty"` // why there is no verdict
	Dir      string          `json:"dir,omitempty"`   // results folder
	Took     time.Duration   `json:"took"`
}

// A Report is how often a checker reported a kind of anomaly in one run.
type Report struct {
	Checker string `json:"checker"`
	Kind    string `json:"kind"`
	Count   int    `json:"count"`
}

// reported counts what invalid findings say, in a fixed order.
func reported(findings []harness.Finding) []Report {
	var out []Report
	for _, f := range findings {
		if f.Verdict != harness.Invalid {
			continue
		}
		counts := map[string]int{}
		for _, a := range f.Anomalies {
			counts[a.Kind]++
		}
		maps.Copy(counts, f.Counts) // complete, where Anomalies are only examples
		for _, kind := range slices.Sorted(maps.Keys(counts)) {
			if counts[kind] > 0 {
				out = append(out, Report{f.Checker, kind, counts[kind]})
			}
		}
	}
	return out
}

// KilledRatio is the part of the mutants that was killed, 0 to 1; 0 of none.
func (x Matrix) KilledRatio() float64 {
	n := 0
	for _, r := range x.Mutants {
		if r.Killed {
			n++
		}
	}
	return float64(n) / float64(max(len(x.Mutants), 1))
}

// FalseAlarms counts control runs that were found invalid.
func (x Matrix) FalseAlarms() int { return x.controls(harness.Invalid) }

func (x Matrix) controls(v harness.Verdict) (n int) {
	for _, c := range x.Control {
		if c.Attempt.Verdict == v {
			n++
		}
	}
	return n
}

// Verdict is valid if every mutant was killed and every control run was valid; unknown
// if only a verdict on the control is missing, or nothing ran.
func (x Matrix) Verdict() harness.Verdict {
	switch {
	case len(x.Mutants) == 0:
		return harness.Unknown
	case x.KilledRatio() < 1 || x.FalseAlarms() > 0:
		return harness.Invalid
	case len(x.Control) == 0 || x.controls(harness.Valid) < len(x.Control):
		return harness.Unknown
	}
	return harness.Valid
}

// WriteJSON writes the matrix for machines.
func (x Matrix) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(x); err != nil {
		return fmt.Errorf("write matrix: %w", err)
	}
	return nil
}

// WriteText writes the matrix for people, and its figures for machines: a row a mutant,
// a column a checker, in a cell the anomalies that the last run showed. The checker that
// had to find a mutant is marked by a star.
func (x Matrix) WriteText(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	checkers := x.checkers()
	fmt.Fprintf(t, "MUTANT\tKILLED\tRUNS\t%s\tWHAT\n", strings.ToUpper(strings.Join(checkers, "\t")))
	for _, r := range x.Mutants {
		killed, last := "NO", Attempt{}
		if r.Killed {
			killed = "yes"
		}
		if n := len(r.Attempts); n > 0 {
			last = r.Attempts[n-1]
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", r.Mutant.ID, killed, len(r.Attempts), cells(checkers, last, r.Mutant.Checker), r.Mutant.Title)
	}
	for _, c := range x.Control {
		what := fmt.Sprintf("%s, %s, seed %d: %s", c.Workload, c.Nemesis, c.Attempt.Seed, c.Attempt.Verdict)
		fmt.Fprintf(t, "%s\t-\t1\t%s\t%s\n", Control, cells(checkers, c.Attempt, ""), what)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write matrix: %w", err)
	}
	x.explain(&b)
	fmt.Fprintf(&b, "figure mutants_killed_ratio %.4g 1\n", x.KilledRatio())
	fmt.Fprintf(&b, "figure control_false_alarms %d 1\n", x.FalseAlarms())
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write matrix: %w", err)
	}
	return nil
}

// explain says what a survivor did instead, and what is wrong with a control run.
func (x Matrix) explain(b *strings.Builder) {
	for _, r := range x.Mutants {
		if r.Killed {
			continue
		}
		fmt.Fprintf(b, "\n%s survived: %s\n  %s had to report %q.\n", r.Mutant.ID, r.Mutant.Mechanism, r.Mutant.Checker, r.Mutant.Kind)
		for _, a := range r.Attempts {
			fmt.Fprintf(b, "  %s\n", a.sentence())
		}
	}
	for _, c := range x.Control {
		if c.Attempt.Verdict != harness.Valid {
			fmt.Fprintf(b, "\ncontrol, %s under %s: %s\n", c.Workload, c.Nemesis, c.Attempt.sentence())
		}
	}
	fmt.Fprintln(b)
}

// sentence tells one attempt.
func (a Attempt) sentence() string {
	why := a.Reason
	if a.Error != "" {
		why = a.Error
	}
	s := fmt.Sprintf("seed %d: %s", a.Seed, a.Verdict)
	if why != "" {
		s += ": " + why
	}
	if a.Dir != "" {
		s += " (" + a.Dir + ")"
	}
	return s
}

// checkers are the columns: those named by a mutant, and those that reported anything.
func (x Matrix) checkers() []string {
	set := map[string]bool{}
	note := func(a Attempt) {
		for _, r := range a.Findings {
			set[r.Checker] = true
		}
	}
	for _, r := range x.Mutants {
		set[r.Mutant.Checker] = true
		for _, a := range r.Attempts {
			note(a)
		}
	}
	for _, c := range x.Control {
		note(c.Attempt)
	}
	return slices.Sorted(maps.Keys(set))
}

func cells(checkers []string, a Attempt, expected string) string {
	row := make([]string, len(checkers))
	for i, name := range checkers {
		var parts []string
		for _, r := range a.Findings {
			if r.Checker == name {
				parts = append(parts, fmt.Sprintf("%d %s", r.Count, r.Kind))
			}
		}
		if row[i] = "-"; len(parts) > 0 {
			row[i] = strings.Join(parts, ", ")
		}
		if name == expected {
			row[i] += " *"
		}
	}
	return strings.Join(row, "\t")
}
