package report

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"cartwheel/harness"
)

// Text tells the story of a run in plain lines, the verdict first and the page's path
// last. The verdict is coloured if w is a terminal.
func Text(w io.Writer, res harness.Result) error {
	t := &teller{w: bufio.NewWriter(w), colour: terminal(w)}
	t.verdict(res)
	numbers := cores(res)
	for _, f := range res.Findings {
		t.finding(f, func(a *harness.Anomaly) (enough string) {
			if n := numbers[a]; n > 0 {
				enough = fmt.Sprintf("enough to show it: %d lines of the history", len(a.Core))
				if res.Dir != "" {
					enough += ", " + filepath.Join(res.Dir, coreFile(n))
				}
			}
			return enough
		})
	}
	t.faults(allFaults(res))
	t.events(res.Events)
	if res.Plan.Repeat != "" {
		t.say("repeat: %s", res.Plan.Repeat)
	}
	if res.Dir != "" {
		t.say("report: %s", filepath.Join(res.Dir, IndexFile))
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Plan tells what a run is about to do.
func Plan(w io.Writer, p harness.Plan) error {
	t := &teller{w: bufio.NewWriter(w)}
	t.say("%s: workload %s, nemesis %s, seed %d, target %s on %s, %s, %s, load %v, %s", p.Suite, p.Workload, p.Nemesis, p.Seed, p.Target, p.World,
		count(len(p.Nodes), "node", "nodes"), count(p.Concurrency, "client", "clients"), p.Time, storeOptions(p))
	for _, f := range p.Schedule {
		t.say("  %-4s %-26s %-16s %s", f.ID, faultTitle(f), fmt.Sprintf("%.2fs-%.2fs", f.Start.Seconds(), f.Stop.Seconds()), faultTarget(f))
	}
	if len(p.Schedule) == 0 {
		t.say("  no faults planned")
	}
	if p.Repeat != "" {
		t.say("repeat: %s", p.Repeat)
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// A teller writes lines; bufio keeps the first error until the flush.
type teller struct {
	w      *bufio.Writer
	colour bool
}

func (t *teller) say(format string, args ...any) { _, _ = fmt.Fprintf(t.w, format+"\n", args...) }

// word shows a verdict in capitals, in its colour on a terminal.
func (t *teller) word(v harness.Verdict) string {
	s := strings.ToUpper(string(v))
	if !t.colour {
		return s
	}
	colour := map[harness.Verdict]string{harness.Valid: "32", harness.Invalid: "31", harness.Unknown: "33"}[v]
	return "\x1b[1;" + colour + "m" + s + "\x1b[0m"
}

func (t *teller) verdict(res harness.Result) {
	first, more := headline(res)
	t.say("%s: %s", t.word(res.Verdict), first)
	for _, r := range more {
		t.say("  %s", r)
	}
	p, s := res.Plan, res.Stats
	switch {
	case p.World == "" && p.Suite != "":
		t.say("judged as %s: %s, %v", p.Suite, count(p.Concurrency, "client", "clients"), p.Time)
	case p.Suite == "":
		t.say("the plan is not known; the history shows %s, %s, load %v", count(len(p.Nodes), "node", "nodes"), count(p.Concurrency, "client", "clients"), p.Time)
	default:
		t.say("suite %s on %s, seed %d, %d nodes, %d clients, load %v, %s", p.Suite, p.World, p.Seed, len(p.Nodes), p.Concurrency, p.Time, storeOptions(p))
	}
	if p.Mutant != "" {
		t.say("bug %s is planted in the store", p.Mutant)
	}
	counts := tally{s.OK, s.Fail, s.Info}
	t.say("operations: %d, %d ok, %d fail, %d info (%s acknowledged)", counts.Total(), s.OK, s.Fail, s.Info, counts.Percent())
}

func (t *teller) finding(f harness.Finding, enough func(*harness.Anomaly) string) {
	t.say("%-8s %s: %s", strings.ToUpper(string(f.Verdict)), f.Checker, f.Summary)
	for i, an := range f.Anomalies {
		if i == anomaliesMax {
			break
		}
		name := an.Kind
		if an.Element != "" {
			name += " " + clip(an.Element, 60)
		}
		t.say("  %d. %s, key %s", i+1, name, an.Key)
		for _, s := range an.Story {
			t.say("     %s", s)
		}
		if len(an.Ops) > 0 {
			t.say("     proof: operations %s", strings.Trim(fmt.Sprint(an.Ops), "[]"))
		}
		if line := enough(&f.Anomalies[i]); line != "" {
			t.say("     %s", line)
		}
	}
	if more := anomalyCount(f) - min(len(f.Anomalies), anomaliesMax); len(f.Anomalies) > 0 && more > 0 {
		t.say("  and %d more", more)
	}
}

func (t *teller) faults(faults []harness.FaultRecord) {
	if len(faults) == 0 {
		t.say("faults: none")
		return
	}
	t.say("faults:")
	for _, f := range faults {
		proof := "proven"
		if !f.Evidence.Proven() {
			proof = "NOT PROVEN"
		}
		when := "never struck"
		if f.Evidence.Injected > 0 {
			when = fmt.Sprintf("%.2fs-%.2fs", f.Evidence.Injected.Seconds(), f.Evidence.Healed.Seconds())
		}
		if f.Evidence.Injected > 0 && f.Evidence.Healed == 0 {
			when = fmt.Sprintf("%.2fs-(never healed)", f.Evidence.Injected.Seconds())
		}
		line := fmt.Sprintf("  %-4s %-26s %-16s %-10s %d ops", f.Fault.ID, faultTitle(f.Fault), when, proof, f.Ops)
		if f.Evidence.Dropped > 0 {
			line += fmt.Sprintf(", %d packets dropped", f.Evidence.Dropped)
		}
		t.say("%s, %s", line, faultTarget(f.Fault))
		for _, p := range f.Evidence.Problems {
			t.say("       %s", p)
		}
	}
}

func (t *teller) events(events []harness.EventRecord) {
	if len(events) == 0 {
		return
	}
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b harness.EventRecord) int { return min(a.Count, 1) - min(b.Count, 1) })
	t.say("events that had to happen:")
	for _, e := range sorted {
		t.say("  %7d  %s", e.Count, e.Name)
	}
}
