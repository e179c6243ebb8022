package checker

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"cartwheel/harness"
)

// A builder makes an index of lines that come by in order. Keys are dealt out to as many
// shards as there are processors; each looks at every line and keeps what is its own.
type builder struct {
	shards []*shard
	x      *index
	lines  int32
	faults []harness.Op // the nemesis's lines
	settle string
}

func newBuilder() *builder {
	b := &builder{x: &index{served: new(service), buried: new(buried)}}
	for range max(1, runtime.GOMAXPROCS(0)) {
		b.shards = append(b.shards, newShard())
	}
	return b
}

// add takes the next lines. They may be changed afterwards.
func (b *builder) add(h []harness.Op) {
	b.x.times = slices.Grow(b.x.times, len(h))
	for i := range h {
		op := &h[i]
		b.x.times = append(b.x.times, op.Time)
		switch {
		case op.Process >= 0 || op.F == harness.ReplicaRead:
		case op.Process == harness.NemesisProcess:
			b.faults = append(b.faults, *op)
		case op.F == harness.Audit && op.Kind != harness.Invoke:
			b.x.audits = append(b.x.audits, *op)
		case op.F == "settle" && op.Kind != harness.Invoke:
			if b.settle = ""; op.Kind == harness.Info {
				b.settle = op.Error
			}
		}
	}
	n := uint64(len(b.shards))
	var wg sync.WaitGroup
	for id, s := range b.shards {
		wg.Go(func() {
			for _, i := range s.deal.lines(h, uint64(id), n) {
				s.line(b.lines+i, &h[i])
			}
		})
	}
	wg.Wait()
	b.lines += int32(len(h))
}

// index finishes the index: keys are linked side by side.
func (b *builder) index(ctx context.Context) (*index, error) {
	first := b.shards[0]
	for _, s := range b.shards {
		if s.err != nil && (first.err == nil || s.errLine < first.errLine) {
			first = s
		}
		for _, k := range s.keys {
			b.x.keys = append(b.x.keys, k)
		}
		b.x.served.merge(&s.served)
	}
	if first.err != nil {
		return nil, first.err
	}
	b.x.faults, b.x.lost, b.x.unrest = windows(b.faults), lostDisks(b.faults), b.settle
	slices.SortFunc(b.x.keys, func(k, o *keyIndex) int { return cmp.Compare(k.key, o.key) })
	errs := make([]error, len(b.x.keys))
	each(b.x.keys, func(i int, k *keyIndex) {
		k.h, k.times, k.lost = b.x.h, b.x.times, b.x.lost
		errs[i] = k.link(ctx)
	})
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", b.x.keys[i].key, err)
		}
	}
	return b.x, nil
}

// linesAtOnce is how many lines of a long history are handed to the shards at a time.
const linesAtOnce = 1 << 16

// newIndex sorts out a history. It fails when its context is over or when the history
// cannot be decided by values.
func newIndex(ctx context.Context, h []harness.Op) (*index, error) {
	b := newBuilder()
	b.x.h = h
	for part := range slices.Chunk(h, linesAtOnce) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b.add(part)
	}
	return b.index(ctx)
}

// each does something with every key, the longest first, on all processors.
func each(keys []*keyIndex, do func(i int, k *keyIndex)) {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(len(keys[j].answers), len(keys[i].answers)) })
	next := make(chan int, len(keys))
	for _, i := range order {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(keys)) {
		wg.Go(func() {
			for i := range next {
				do(i, keys[i])
			}
		})
	}
	wg.Wait()
}
