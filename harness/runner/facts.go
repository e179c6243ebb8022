package runner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// statsOf counts completions of client operations.
func statsOf(h []harness.Op) harness.Stats {
	var s harness.Stats
	for _, op := range h {
		if op.Process >= 0 {
			count(&s, op.Kind)
		}
	}
	return s
}

// phasesOf takes a phase's first and last line for its limits.
func phasesOf(h []harness.Op) []harness.PhaseRecord {
	records := []harness.PhaseRecord{}
	for _, op := range h {
		if op.Phase == "" {
			continue
		}
		i := slices.IndexFunc(records, func(r harness.PhaseRecord) bool { return r.Phase == op.Phase })
		if i < 0 {
			i = len(records)
			records = append(records, harness.PhaseRecord{Phase: op.Phase, Start: op.Time})
		}
		records[i].End = op.Time
	}
	return records
}

// faultsOf collects the faults that were begun, with their last evidence, in order.
func faultsOf(h []harness.Op) []harness.FaultRecord {
	records := []harness.FaultRecord{}
	for _, op := range h {
		if op.Process != harness.NemesisProcess || op.Fault == nil {
			continue
		}
		i := slices.IndexFunc(records, func(r harness.FaultRecord) bool { return r.Fault.ID == op.Fault.ID })
		if i < 0 {
			i = len(records)
			records = append(records, harness.FaultRecord{Fault: *op.Fault})
		}
		if op.Evidence != nil {
			records[i].Evidence = *op.Evidence
		}
	}
	slices.SortStableFunc(records, func(a, b harness.FaultRecord) int { return cmp.Compare(a.Fault.Start, b.Fault.Start) })
	for _, p := range history.Pairs(h) {
		if h[p.Invoke].Process < 0 {
			continue
		}
		from, to := h[p.Invoke].Time, time.Duration(1<<63-1)
		if p.Completion >= 0 {
			to = h[p.Completion].Time
		}
		for i := range records {
			if e := &records[i].Evidence; e.Injected > 0 && e.Injected <= to && (e.Healed == 0 || from <= e.Healed) {
				records[i].Ops++
			}
		}
	}
	return records
}

// planOf guesses at the plan of a history that has lost its own.
func planOf(h []harness.Op) harness.Plan {
	p := harness.Plan{Nemesis: "none", Schedule: []harness.Fault{}}
	for _, f := range faultsOf(h) {
		p.Schedule = append(p.Schedule, f.Fault)
		p.Nemesis = "stored"
	}
	threads := make(map[int]bool)
	for _, op := range h {
		if op.Node != "" && !slices.Contains(p.Nodes, op.Node) {
			p.Nodes = append(p.Nodes, op.Node)
		}
		if op.Process >= 0 {
			threads[op.Process] = true
		}
		if op.Phase == "" || op.Phase == harness.Load {
			p.Time = op.Time
		}
	}
	slices.Sort(p.Nodes)
	p.Concurrency = len(threads)
	return p
}

// incomplete says what a run lacks that went its whole way.
func incomplete(h []harness.Op) []string {
	var doubts []string
	ended := false
	for _, op := range h {
		if op.Process != harness.FinalProcess || op.Kind == harness.Invoke {
			continue
		}
		switch {
		case op.F == SettleOp && op.Kind == harness.Info:
			doubts = append(doubts, "the cluster did not become quiet: "+op.Error)
		case op.F == EndOp:
			ended = true
			if op.Kind == harness.Info {
				doubts = append(doubts, strings.Split(op.Error, "; ")...)
			}
		}
	}
	if !ended {
		doubts = append(doubts, "the run was cut short: its final phase is missing")
	}
	return doubts
}

func idle(s harness.Stats) []string {
	switch {
	case s == harness.Stats{}:
		return []string{"no client did anything"}
	case s.OK == 0:
		return []string{fmt.Sprintf("no operation succeeded: %d failed, %d are indeterminate", s.Fail, s.Info)}
	default:
		return nil
	}
}

// unproven says which planned faults did not demonstrably strike, hold and heal.
func unproven(p harness.Plan, records []harness.FaultRecord) []string {
	var doubts []string
	if len(p.Schedule) == 0 && p.Nemesis != "" && p.Nemesis != "none" {
		doubts = append(doubts, fmt.Sprintf("nemesis %s had no fault to inject, so nothing was withstood", p.Nemesis))
	}
	for _, f := range p.Schedule {
		what := fmt.Sprintf("fault %s (%s %s)", f.ID, f.Kind, f.Name)
		i := slices.IndexFunc(records, func(r harness.FaultRecord) bool { return r.Fault.ID == f.ID })
		switch {
		case i < 0:
			doubts = append(doubts, what+" was never injected")
		case len(records[i].Evidence.Problems) > 0:
			doubts = append(doubts, what+" is not proven: "+strings.Join(records[i].Evidence.Problems, "; "))
		case records[i].Evidence.Injected > 0 && records[i].Evidence.Healed == 0:
			doubts = append(doubts, what+" was not healed")
		case !records[i].Evidence.Proven():
			doubts = append(doubts, what+" is not proven: there is no evidence that it struck, held and healed")
		}
	}
	return doubts
}

// eventsOf counts the events that the plan can bring about.
func eventsOf(p harness.Plan, events []harness.Event, h []harness.Op) (records []harness.EventRecord, missing, doubts []string) {
	records = []harness.EventRecord{}
	for _, e := range events {
		var n int
		needed := true
		err := guarded(func() error {
			needed = e.Needs == nil || e.Needs(p)
			n = e.Count(h)
			return nil
		})
		switch {
		case err != nil:
			doubts = append(doubts, fmt.Sprintf("event %q could not be counted: %v", e.Name, err))
		case needed && n == 0:
			missing = append(missing, e.Name)
			doubts = append(doubts, fmt.Sprintf("it never happened that %s, so this run proves little", e.Name))
		}
		if needed || n > 0 {
			records = append(records, harness.EventRecord{Name: e.Name, Count: n})
		}
	}
	return records, missing, doubts
}

// sum composes the verdict and says why, the headline first.
func sum(res harness.Result, doubts []string) (harness.Verdict, []string) {
	var broken, unsure []string
	verdicts := make([]harness.Verdict, 0, len(res.Findings)+1)
	for _, f := range res.Findings {
		verdicts = append(verdicts, f.Verdict)
		switch f.Verdict {
		case harness.Valid:
		case harness.Invalid:
			broken = append(broken, f.Checker+": "+f.Summary)
		default:
			unsure = append(unsure, f.Checker+": "+f.Summary)
		}
	}
	if len(doubts) > 0 {
		verdicts = append(verdicts, harness.Unknown)
	}
	verdict := harness.Worst(verdicts...)
	if verdict == harness.Valid {
		why := fmt.Sprintf("%s found nothing wrong in %s", plural(len(res.Findings), "checker"), plural(res.Stats.OK, "successful operation"))
		if n := len(res.Plan.Schedule); n > 0 {
			why += " under " + plural(n, "proven fault")
		}
		return verdict, []string{why}
	}
	// What is wrong with the run is why a checker cannot tell, so it comes first.
	return verdict, slices.Concat(broken, doubts, unsure)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// troubled is the result of a run that did not go its whole way. Why is the headline,
// unless a promise was broken; if no client did anything it is the whole story. It is no
// pass: the journal may not be whole, or the cluster not gone.
func troubled(res harness.Result, why string) harness.Result {
	res.Trouble = why
	switch {
	case res.Verdict == harness.Invalid:
		res.Reasons = append(res.Reasons, why)
		return res
	case res.Stats == harness.Stats{}:
		res.Reasons = []string{why, "the run was cut short before any client did anything"}
	default:
		res.Reasons = append([]string{why}, res.Reasons...)
	}
	if res.Verdict == harness.Valid {
		res.Verdict = harness.Unknown
	}
	return res
}
