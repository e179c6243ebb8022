package runner_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

// key changes every second: what is never superseded must not grow too long.
func key(c harness.GenContext) string {
	return fmt.Sprintf("k%d-%d", c.Time/time.Second, c.Rand.IntN(8))
}

// tags is a workload: writers add values to keys, blindly, so that every
// acknowledged one must be on every replica at the end.
func tags(checkers ...harness.Checker) harness.Workload {
	return harness.Workload{
		Name: "tags",
		Generator: func(s harness.Setup) harness.Generator {
			rate := s.Rate
			if rate == 0 {
				rate = 50
			}
			write := generator.Func(func(c harness.GenContext, process int) harness.Op {
				return harness.Op{F: harness.Put, Key: key(c), Value: fmt.Sprintf("p%d-%d", process, c.Time)}
			})
			read := generator.Func(func(c harness.GenContext, _ int) harness.Op {
				return harness.Op{F: harness.Get, Key: key(c)}
			})
			if rate > 1e6 {
				return generator.Mix(write, read) // as fast as the threads can
			}
			return generator.Stagger(rate, s.Seed, generator.Mix(write, read))
		},
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			var r harness.Reading
			var err error
			if op.F == harness.Put {
				r, err = c.Put(ctx, op.Key, op.Value, op.Context, harness.WriteOptions{})
			} else {
				r, err = c.Get(ctx, op.Key, harness.ReadOptions{})
			}
			if err == nil {
				op.Siblings, op.Token, op.Meta = r.Siblings, r.Token, r.Meta
			}
			return harness.Complete(op, err)
		},
		Checkers: append([]harness.Checker{kept{}}, checkers...),
	}
}

// kept checks that every acknowledged value is on every replica in the end.
type kept struct{}

func (kept) Name() string { return "kept" }

func (kept) Check(_ context.Context, h []harness.Op) harness.Finding {
	f := harness.Finding{Checker: "kept", Verdict: harness.Valid, Summary: "every acknowledged write is on every replica"}
	type place struct {
		key  string
		node harness.NodeID
	}
	last := make(map[place][]harness.Sibling)
	for _, op := range h {
		if op.F == harness.ReplicaRead && op.Kind == harness.OK {
			last[place{op.Key, op.Node}] = op.Siblings
		}
	}
	for _, op := range h {
		if op.F != harness.Put || op.Kind != harness.OK {
			continue
		}
		for p, siblings := range last {
			has := slices.ContainsFunc(siblings, func(s harness.Sibling) bool { return s.Value == op.Value })
			if p.key == op.Key && !has && len(f.Anomalies) == 0 {
				f.Verdict, f.Summary = harness.Invalid, "an acknowledged write is missing on a replica"
				f.Anomalies = append(f.Anomalies, harness.Anomaly{
					Kind: "lost-write", Key: op.Key, Ops: []int{op.Index},
					Story: []string{fmt.Sprintf("%q was acknowledged and is gone from %s", op.Value, p.node)},
				})
			}
		}
	}
	return f
}

// judgeBy is a checker made of a function.
type judgeBy func(context.Context, []harness.Op) harness.Finding

func (judgeBy) Name() string { return "by" }

func (f judgeBy) Check(ctx context.Context, h []harness.Op) harness.Finding { return f(ctx, h) }

var lazy = judgeBy(func(ctx context.Context, _ []harness.Op) harness.Finding {
	<-ctx.Done()
	return harness.Finding{Verdict: harness.Unknown, Summary: "ran out of time"}
})

var deaf = judgeBy(func(context.Context, []harness.Op) harness.Finding {
	time.Sleep(time.Hour)
	return harness.Finding{Verdict: harness.Valid}
})

var broken = judgeBy(func(context.Context, []harness.Op) harness.Finding { panic("off by one") })
