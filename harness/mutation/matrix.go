package mutation

import (
	"cmp"
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
	Source  string        `json:"source,omitempty"` // digest of the code that was tried, see [SourceOf]
	World   string        `json:"world,omitempty"`  // "sim" or "docker"
	Runs    int           `json:"runs,omitempty"`   // the budget: so many runs of a mutant ...
	Time    time.Duration `json:"time,omitempty"`   // ... of so much load each
	Mutants []Row         `json:"mutants"`
	Control []ControlRun  `json:"control"`
}

// A Row is one mutant's story.
type Row struct {
	Mutant   Mutant    `json:"mutant"`
	Killed   bool      `json:"killed"` // by the last attempt
	Attempts []Attempt `json:"attempts"`
	// Unseen is the bug under its nemesis of that name, once for each attempt and with the same seed.
	Unseen []Attempt `json:"unseen,omitempty"`
}

// Elsewhere reports whether the bug showed, or may have shown, under the nemesis that must not reveal it: only
// runs that are valid say that it did not.
func (r Row) Elsewhere() bool {
	return slices.ContainsFunc(r.Unseen, func(a Attempt) bool { return a.Verdict != harness.Valid })
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
	Error    string          `json:"error,omitempty"`  // why there is no verdict
	Dir      string          `json:"dir,omitempty"`    // results folder
	Took     time.Duration   `json:"took"`             // real time
	Length   time.Duration   `json:"length,omitempty"` // of the run by its own clock, which is virtual in simulation
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

func (c ControlRun) compare(d ControlRun) int {
	return cmp.Or(cmp.Compare(c.Workload, d.Workload), cmp.Compare(c.Nemesis, d.Nemesis), cmp.Compare(c.Attempt.Seed, d.Attempt.Seed))
}

// First names who noticed anything at all first, and what: the findings of the first run
// that showed any. It need not be whom the mutant names.
func (r Row) First() []Report {
	for _, a := range r.Attempts {
		if len(a.Findings) > 0 {
			return a.Findings
		}
	}
	return nil
}

// Spent sums up what was paid for a row: time by the runs' own clock, and real time.
func (r Row) Spent() (length, took time.Duration) {
	for _, a := range r.Attempts {
		length, took = length+a.Length, took+a.Took
	}
	return length, took
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

// Verdict is valid if every mutant was killed, none showed where it must not, no control run was found invalid, and the
// store as it is was found valid at least once under each workload and nemesis that a
// mutant asked for; unknown if only the last is missing, or nothing ran. A control run
// that is unknown raised no alarm, and proves nothing either.
func (x Matrix) Verdict() harness.Verdict {
	if len(x.Mutants) == 0 {
		return harness.Unknown
	}
	if x.KilledRatio() < 1 || x.FalseAlarms() > 0 || slices.ContainsFunc(x.Mutants, Row.Elsewhere) {
		return harness.Invalid
	}
	for _, r := range x.Mutants {
		if !slices.ContainsFunc(x.Control, func(c ControlRun) bool {
			return c.Workload == r.Mutant.Workload && c.Nemesis == r.Mutant.Nemesis && c.Attempt.Verdict == harness.Valid
		}) {
			return harness.Unknown
		}
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
// what had to find it, who noticed first, and what that took.
func (x Matrix) WriteText(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MUTANT\tKILLED\tRUNS\tLENGTH\tTOOK\tEXPECTED\tFIRST NOTICED\tWHAT")
	for _, r := range x.Mutants {
		killed := "NO"
		if r.Killed {
			killed = "yes"
		}
		length, took := r.Spent()
		fmt.Fprintf(t, "%s\t%s\t%d\t%v\t%v\t%s: %s\t%s\t%s\n", r.Mutant.ID, killed, len(r.Attempts),
			length.Round(time.Second), took.Round(100*time.Millisecond), r.Mutant.Checker, r.Mutant.Kind, sentence(r.First()), r.Mutant.Title)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write matrix: %w", err)
	}
	x.explain(&b)
	fmt.Fprintf(&b, "control: %d runs, %d valid, %d unknown, %d invalid\n", len(x.Control),
		x.controls(harness.Valid), x.controls(harness.Unknown), x.FalseAlarms())
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
		if r.Mutant.Unseen != "" && r.Killed {
			fmt.Fprintf(b, "\n%s shows under %s alone; under %s:\n", r.Mutant.ID, r.Mutant.Nemesis, r.Mutant.Unseen)
			for _, a := range r.Unseen {
				fmt.Fprintf(b, "  %s\n", a.sentence())
			}
		}
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

// sentence joins reports, for a cell of a table.
func sentence(reports []Report) string {
	var parts []string
	for _, r := range reports {
		parts = append(parts, fmt.Sprintf("%s: %d %s", r.Checker, r.Count, r.Kind))
	}
	if len(parts) == 0 {
		return "nobody"
	}
	return strings.Join(parts, ", ")
}
