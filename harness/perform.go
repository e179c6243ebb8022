package harness

import (
	"context"
	"fmt"
)

// Perform does one get, put or delete and returns its completion: what most workloads
// want as their Invoke. A function it does not know is a Fail, since nothing was done.
func Perform(ctx context.Context, c Client, op Op, r ReadOptions, w WriteOptions) Op {
	var got Reading
	var err error
	switch op.F {
	case Get:
		r.Floor = string(op.Context) // a session's read says what it must not fall behind
		got, err = c.Get(ctx, op.Key, r)
	case Put:
		got, err = c.Put(ctx, op.Key, op.Value, op.Context, w)
	case Delete:
		got, err = c.Delete(ctx, op.Key, op.Context, w)
	default:
		op.Kind, op.Error = Fail, fmt.Sprintf("no client does %q", op.F)
		return op
	}
	// An error may tell how the request was served, too.
	op.Siblings, op.Token, op.Write, op.State, op.Meta = got.Siblings, got.Token, got.Write, got.State, got.Meta
	return Complete(op, err)
}
