package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
	"cartwheel/harness/history"
)

// load lets clients work and faults strike. When it returns without an error, all
// operations have completed in the journal and every fault was healed.
func (r *run) load(ctx context.Context) error {
	var gen harness.Generator
	if err := guarded(func() error { gen = r.o.Workload.Generator(r.setup()); return nil }); err != nil {
		return fmt.Errorf("make generator: %w", err)
	}
	r.board.enter(harness.Load, r.o.Time, "load began")
	over := make(chan struct{})
	var faults sync.WaitGroup
	for i, f := range r.rec.Plan.Schedule {
		faults.Go(func() { r.fault(ctx, i, f, over) })
	}
	s := &scheduler{
		run:     r,
		gen:     gen,
		rand:    Stream(r.o.Seed, "generator"),
		results: make(chan outcome),
		begun:   -1,
	}
	err := s.serve(ctx)
	close(over)
	faults.Wait()
	s.join()
	return err
}

func (r *run) setup() harness.Setup {
	return harness.Setup{
		Nodes: slices.Clone(r.nodes), Concurrency: r.o.Concurrency,
		Time: r.o.Time, Rate: r.o.Rate, Seed: Stream(r.o.Seed, "setup").Uint64(),
	}
}

// scheduler owns the generator and the clients' part of the journal. Only its own
// goroutine touches it.
type scheduler struct {
	*run
	gen     harness.Generator
	rand    *rand.Rand
	threads []thread
	results chan outcome
	begun   time.Duration // when the last operation began
	workers sync.WaitGroup
	err     error // ends the load
}

// A thread is one of the clients that work at the same time.
type thread struct {
	process int
	worker  *worker
	op      *harness.Op   // under way
	giveUp  time.Duration // when op is taken for lost
}

// serve draws operations until the time is up, the generator is done, ctx is over or
// something fails, and then waits for those under way.
func (s *scheduler) serve(ctx context.Context) error {
	for t := range s.o.Concurrency {
		s.threads = append(s.threads, thread{process: t, worker: s.hire(ctx, t)})
	}
	for s.err == nil && ctx.Err() == nil && s.now() < s.end() {
		if done := s.draw(ctx); done {
			break
		}
	}
	hurried := false
	for s.busy() {
		if ctx.Err() != nil && !hurried { // calls were cancelled: they have a grace to return
			hurried = true
			for t := range s.threads {
				s.threads[t].giveUp = min(s.threads[t].giveUp, s.now()+s.o.Grace)
			}
		}
		s.wait(ctx, s.nextGiveUp())
	}
	for t := range s.threads {
		s.threads[t].worker.dismiss()
	}
	return s.err
}

// end is when the load is over, or when to ask again: it may go on until the faults that have begun are proven.
func (s *scheduler) end() time.Duration {
	now := s.now()
	if now < s.o.Time || s.pending.Load() == 0 {
		return s.o.Time
	}
	return min(now+pendingEvery, s.o.Time+s.o.Overtime)
}

// draw asks the generator once and acts on the answer.
func (s *scheduler) draw(ctx context.Context) (done bool) {
	now := s.now()
	// No two operations begin at the same instant, so that neither do their deadlines.
	if now <= s.begun {
		s.wait(ctx, s.begun+1)
		return false
	}
	c := s.context(now)
	if len(c.Free) == 0 {
		s.wait(ctx, min(s.nextGiveUp(), s.end()))
		return false
	}
	var d harness.Draw
	var next harness.Generator
	err := guarded(func() error {
		d, next = s.gen.Next(c)
		return generator.Check(c, d)
	})
	switch {
	case err != nil:
		s.err = fmt.Errorf("ask generator: %w", err)
	case d.State == harness.Done:
		return true
	case d.State == harness.Pending:
		s.gen = next
		until := s.end()
		if d.At > now {
			until = min(until, d.At)
		}
		s.wait(ctx, min(until, s.nextGiveUp()))
	case d.At > now:
		s.wait(ctx, min(d.At, s.end(), s.nextGiveUp()))
	default:
		s.gen = next
		s.begin(d.Op)
	}
	return false
}

func (s *scheduler) context(now time.Duration) harness.GenContext {
	c := harness.GenContext{Time: now, All: make([]int, len(s.threads)), Rand: s.rand}
	for t, th := range s.threads {
		c.All[t] = th.process
		if th.op == nil {
			c.Free = append(c.Free, th.process)
		}
	}
	slices.Sort(c.Free)
	return c
}

// begin journals an invocation and hands it to its thread's worker.
func (s *scheduler) begin(op harness.Op) {
	th := &s.threads[op.Process%len(s.threads)]
	op.Kind, op.Phase, op.Node = harness.Invoke, harness.Load, th.worker.node
	op, err := s.journal.Append(op)
	if err != nil {
		s.err = err
		return
	}
	s.begun = s.now()
	s.keys[op.Key] = true
	s.mu.Lock()
	s.latest = op.Key
	s.mu.Unlock()
	th.op, th.giveUp = &op, s.begun+s.o.OpTimeout+s.o.Grace
	s.update(op)
	th.worker.jobs <- op // never blocks: the worker is idle, and the channel holds one
}

// wait lets time pass until the next result, which it records, or until the given
// time, or until ctx is over. It gives up operations that are overdue.
func (s *scheduler) wait(ctx context.Context, until time.Duration) {
	timer := time.NewTimer(until - s.now())
	defer timer.Stop()
	var cancelled <-chan struct{}
	if ctx.Err() == nil { // once seen, it must not make the loops spin
		cancelled = ctx.Done()
	}
	select {
	case out := <-s.results:
		s.complete(out)
	case <-timer.C:
	case <-cancelled:
	}
	for t := range s.threads {
		if th := &s.threads[t]; th.op != nil && s.now() >= th.giveUp {
			s.abandon(t)
		}
	}
}

// complete journals what a worker returned.
func (s *scheduler) complete(out outcome) {
	th := &s.threads[out.worker.thread]
	if th.worker != out.worker || th.op == nil {
		return // given up before
	}
	op := *th.op
	if diff := history.Differences(op, out.op); len(diff) > 0 {
		out.problem = fmt.Sprintf("workload %s changed the operation it was to do: %s", s.o.Workload.Name, strings.Join(diff, ", "))
	} else if k := out.op.Kind; k != harness.OK && k != harness.Fail && k != harness.Info {
		out.problem = fmt.Sprintf("workload %s completed an operation with kind %q", s.o.Workload.Name, k)
	}
	if out.problem != "" { // what really happened is not known
		s.problem("%s", out.problem)
		out.op = op
		out.op.Kind, out.op.Error = harness.Info, out.problem
	}
	out.op.Phase = harness.Load
	s.finish(th, out.op)
}

// abandon takes an operation for lost whose client does not return. Its worker is left
// to itself, with no more than this one call, and the thread gets a new one.
func (s *scheduler) abandon(t int) {
	th := &s.threads[t]
	op := *th.op
	op.Kind = harness.Info
	op.Error = fmt.Sprintf("the client did not return within %v of its deadline", s.o.Grace)
	th.worker.dismiss()
	th.worker = s.hire(th.worker.ctx, t)
	s.finish(th, op)
}

func (s *scheduler) finish(th *thread, op harness.Op) {
	op, err := s.journal.Append(op)
	if err != nil && s.err == nil {
		s.err = err
	}
	th.op = nil
	if op.Kind == harness.Info {
		th.process += len(s.threads)
	}
	s.board.completed(op.Kind)
	s.update(op)
}

func (s *scheduler) update(op harness.Op) {
	err := guarded(func() error {
		s.gen = s.gen.Update(s.context(s.now()), op)
		return nil
	})
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("tell generator: %w", err)
	}
}

func (s *scheduler) busy() bool {
	return slices.ContainsFunc(s.threads, func(th thread) bool { return th.op != nil })
}

// nextGiveUp is when the next operation is overdue; far away if none is under way.
func (s *scheduler) nextGiveUp() time.Duration {
	next := s.now() + time.Hour
	for _, th := range s.threads {
		if th.op != nil {
			next = min(next, th.giveUp)
		}
	}
	return next
}

// join waits for clients that did not return in time.
func (s *scheduler) join() {
	joined := make(chan struct{})
	var w sync.WaitGroup
	w.Go(func() {
		s.workers.Wait()
		close(joined)
	})
	timer := time.NewTimer(s.o.StopLimit)
	defer timer.Stop()
	select {
	case <-joined:
	case <-timer.C:
		s.problem("a client has not returned %v after the load", s.o.StopLimit)
	}
}
