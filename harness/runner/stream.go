package runner

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A Streamer judges a history that goes by line by line and is never held as a whole, such as
// checker.Stream. Judge may go through it a second time to tell the stories of what is wrong.
type Streamer interface {
	Add(op harness.Op)
	Judge(ctx context.Context, again iter.Seq[harness.Op]) []harness.Finding
}

// JudgeStream is [JudgeModel] for a history that is too long to be held. lines reads it, each time from its
// begin; what cannot be read is an error. budget is that of all checkers together. Faults are not
// told, and cores not looked for.
func JudgeStream(ctx context.Context, name string, s Streamer, lines func() iter.Seq2[harness.Op, error], budget time.Duration) (harness.Result, error) {
	res := harness.Result{
		Plan:   harness.Plan{Suite: name, Workload: name, Nemesis: "none", Schedule: []harness.Fault{}},
		Phases: []harness.PhaseRecord{}, Faults: []harness.FaultRecord{}, Events: []harness.EventRecord{}, Findings: []harness.Finding{},
	}
	formed, threads := history.NewValidator(), make(map[int]bool)
	for op, err := range lines() {
		if err != nil {
			return res, err
		}
		if ctx.Err() != nil {
			return res, context.Cause(ctx)
		}
		if !formed.Add(op) {
			break
		}
		s.Add(op)
		if op.Process >= 0 {
			count(&res.Stats, op.Kind)
			threads[op.Process] = true
			res.Plan.Time = op.Time
		}
		if op.Node != "" && !slices.Contains(res.Plan.Nodes, op.Node) {
			res.Plan.Nodes = append(res.Plan.Nodes, op.Node)
		}
	}
	res.Plan.Concurrency = len(threads)
	doubts := idle(res.Stats)
	if err := formed.Err(); err != nil {
		doubts = append([]string{fmt.Sprintf("the history is malformed: %v", err)}, doubts...)
	} else {
		within, cancel := context.WithTimeout(ctx, budget)
		defer cancel()
		res.Findings = s.Judge(within, func(yield func(harness.Op) bool) {
			for op, err := range lines() {
				if err != nil || !yield(op) {
					return // it was readable a moment ago; what is told then lacks stories, not the verdict
				}
			}
		})
	}
	res.Verdict, res.Reasons = sum(res, doubts)
	return res, nil
}
