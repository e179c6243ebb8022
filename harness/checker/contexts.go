package checker

import (
	"context"
	"fmt"

	"cartwheel/harness"
)

// ForeignContext is the kind of anomaly that [Contexts] finds: a write that was taken with a
// context which had been issued for another key.
const ForeignContext = "foreign-context"

// Contexts asks whether the store told contexts apart: what one key's context covers says
// nothing of another key, and a write that is taken with it supersedes versions that its client has never
// seen. Whether that was so no other checker can tell, since it does not know what such a context
// covers. It is for workloads that mix contexts up.
func Contexts() harness.Checker { return contexts{} }

type contexts struct{}

func (contexts) Name() string { return "contexts" }

func (c contexts) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := c.check(ctx, h)
	f.Checker = c.Name()
	return f
}

func (contexts) check(ctx context.Context, h []harness.Op) harness.Finding {
	if len(h) == 0 {
		return unknown("an empty history")
	}
	c := collect(Claims{}, ForeignContext)
	issued := map[string]harness.Op{} // the first answer that gave it
	offered := 0
	for _, op := range h {
		if ctx.Err() != nil {
			return unknown("the check was cut short: %v", context.Cause(ctx))
		}
		if op.Kind == harness.Invoke {
			continue
		}
		if from, known := issued[string(op.Context)]; len(op.Context) > 0 && op.IsWrite() && known && from.Key != op.Key {
			offered++
			if op.Kind == harness.OK {
				c.add(ForeignContext, op.Index, func() harness.Anomaly {
					return harness.Anomaly{Key: op.Key, Ops: []int{from.Index, op.Index}, Story: []string{fmt.Sprintf(
						"A %s of key %s was taken with the context that op %d had been given for key %s.", op.F, op.Key, from.Index, from.Key)}}
				})
			}
		}
		if _, known := issued[string(op.Token)]; len(op.Token) > 0 && op.Kind == harness.OK && !known {
			issued[string(op.Token)] = op
		}
	}
	return c.finding(count(offered, "write", "writes")+" with the context of another key", nil, map[string]float64{"offered": float64(offered)})
}
