package runner

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/harness"
)

// A worker does a thread's operations, one at a time, with a client of its own.
type worker struct {
	run    *run
	ctx    context.Context // of the run: a cancelled run cancels its calls
	thread int
	node   harness.NodeID
	jobs   chan harness.Op // holds one; closed by dismiss
	gone   chan struct{}   // closed by dismiss: nobody listens any more
	out    chan<- outcome
	client harness.Client // nil until needed and after every Info
}

// An outcome is an operation's completion.
type outcome struct {
	worker  *worker
	op      harness.Op
	problem string // a bug of the workload, if any
}

// hire starts a worker. Unless homes say otherwise, thread i talks to node i modulo n.
func (s *scheduler) hire(ctx context.Context, thread int) *worker {
	home := s.nodes[thread%len(s.nodes)]
	if s.o.Homes != nil {
		home = s.o.Homes[thread]
	}
	w := &worker{
		run: s.run, ctx: ctx, thread: thread, node: home,
		jobs: make(chan harness.Op, 1), gone: make(chan struct{}), out: s.results,
	}
	s.workers.Go(w.loop)
	return w
}

// dismiss lets the worker end after what it is doing. It is called once.
func (w *worker) dismiss() {
	close(w.jobs)
	close(w.gone)
}

func (w *worker) loop() {
	defer w.closeClient()
	for op := range w.jobs {
		out := w.do(op)
		if out.op.Kind != harness.OK && out.op.Kind != harness.Fail {
			w.closeClient() // the next process starts afresh
		}
		select {
		case w.out <- out:
		case <-w.gone:
			return
		}
	}
}

func (w *worker) do(op harness.Op) outcome {
	ctx, cancel := context.WithTimeout(w.ctx, w.run.o.OpTimeout)
	defer cancel()
	if w.client == nil {
		if err := w.openClient(ctx); err != nil {
			op.Kind, op.Error = harness.Fail, err.Error() // nothing was sent
			op.GivenUp = w.ctx.Err() != nil
			return outcome{worker: w, op: op}
		}
	}
	out := outcome{worker: w}
	if err := guarded(func() error { out.op = w.run.o.Workload.Invoke(ctx, w.client, op); return nil }); err != nil {
		out.op = op
		out.op.Kind = harness.Info
		out.problem = fmt.Sprintf("workload %s: %v", w.run.o.Workload.Name, err)
	}
	out.op.GivenUp = out.op.Kind != harness.OK && w.ctx.Err() != nil
	return out
}

func (w *worker) openClient(ctx context.Context) error {
	return guarded(func() error {
		client, err := w.run.o.Target.Open(ctx, w.run.o.Cluster, w.node)
		if err != nil {
			return fmt.Errorf("open client of %s: %w", w.node, err)
		}
		if client == nil {
			return errors.New("open client: the target returned none")
		}
		w.client = client
		return nil
	})
}

func (w *worker) closeClient() {
	if w.client == nil {
		return
	}
	if err := guarded(w.client.Close); err != nil {
		w.run.o.Logger.Warn("client was not closed", "node", w.node, "err", err)
	}
	w.client = nil
}
