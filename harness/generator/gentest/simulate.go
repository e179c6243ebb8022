package gentest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

// An Executor does one operation: it returns its completion and how long it took. It
// may keep state, since operations begin one at a time in the order of the history.
type Executor func(op harness.Op, r *rand.Rand) (harness.Op, time.Duration)

// Options say how to simulate.
type Options struct {
	Seed    uint64        // of the generator's and the executor's random numbers
	Threads int           // default 3
	Time    time.Duration // when to stop asking; default an hour
	OpsMax  int           // stop asking after so many operations; default 10000
	Execute Executor      // default Perfect
}

func (o Options) withDefaults() Options {
	if o.Threads == 0 {
		o.Threads = 3
	}
	if o.Time == 0 {
		o.Time = time.Hour
	}
	if o.OpsMax == 0 {
		o.OpsMax = 10000
	}
	if o.Execute == nil {
		o.Execute = Perfect
	}
	return o
}

// Perfect completes every operation with OK after 10 ms.
func Perfect(op harness.Op, _ *rand.Rand) (harness.Op, time.Duration) {
	op.Kind = harness.OK
	return op, 10 * time.Millisecond
}

// Instant completes every operation with OK in no time.
func Instant(op harness.Op, _ *rand.Rand) (harness.Op, time.Duration) {
	op.Kind = harness.OK
	return op, 0
}

// Imperfect completes operations with OK, Fail or Info, one as likely as the other,
// after up to 20 ms.
func Imperfect(op harness.Op, r *rand.Rand) (harness.Op, time.Duration) {
	op.Kind = []harness.Kind{harness.OK, harness.Fail, harness.Info}[r.IntN(3)]
	if op.Kind != harness.OK {
		op.Error = "imperfect"
	}
	return op, time.Duration(r.Int64N(int64(20 * time.Millisecond)))
}

// Simulate returns the history of a simulated run. An error says how the generator
// broke its contract; the history up to there comes with it.
func Simulate(g harness.Generator, o Options) ([]harness.Op, error) {
	o = o.withDefaults()
	s := &simulation{
		o: o, gen: g,
		draws: rand.New(rand.NewPCG(o.Seed, 1)),
		exec:  rand.New(rand.NewPCG(o.Seed, 2)),
		all:   make([]int, o.Threads),
		busy:  make([]bool, o.Threads),
	}
	for t := range s.all {
		s.all[t] = t
	}
	err := s.run()
	return s.history, err
}

type simulation struct {
	o           Options
	gen         harness.Generator
	draws, exec *rand.Rand
	all         []int // each thread's process
	busy        []bool
	now         time.Duration
	pending     []harness.Op // completions to come, with their times, soonest first
	history     []harness.Op
	ops         int
}

func (s *simulation) run() error {
	for s.now < s.o.Time && s.ops < s.o.OpsMax {
		c := s.context()
		if len(c.Free) == 0 {
			s.complete()
			continue
		}
		d, next := s.gen.Next(c)
		if err := generator.Check(c, d); err != nil {
			return err
		}
		switch {
		case d.State == harness.Done:
			s.drain()
			return nil
		case d.State == harness.Pending:
			s.gen = next
			if len(s.pending) == 0 && d.At <= s.now {
				return fmt.Errorf("gentest: pending at %v, but nothing is under way and no time is named", s.now)
			}
			s.wait(d.At)
		case d.At > s.now:
			s.wait(d.At)
		default:
			s.gen = next
			s.invoke(d.Op)
		}
	}
	s.drain()
	return nil
}

// wait goes on to the next completion, or to a time if that is sooner.
func (s *simulation) wait(until time.Duration) {
	if len(s.pending) > 0 && (until <= s.now || s.pending[0].Time <= until) {
		s.complete()
		return
	}
	s.now = until
}

func (s *simulation) context() harness.GenContext {
	c := harness.GenContext{Time: s.now, All: slices.Clone(s.all), Rand: s.draws}
	for t, p := range s.all {
		if !s.busy[t] {
			c.Free = append(c.Free, p)
		}
	}
	slices.Sort(c.Free)
	return c
}

func (s *simulation) invoke(op harness.Op) {
	s.ops++
	op.Kind, op.Phase = harness.Invoke, harness.Load
	op = s.record(op)
	s.busy[op.Process%len(s.all)] = true
	s.gen = s.gen.Update(s.context(), op)
	done, took := s.o.Execute(op, s.exec)
	done.Time = s.now + took
	at, _ := slices.BinarySearchFunc(s.pending, done, func(a, b harness.Op) int {
		if a.Time <= b.Time { // after its equals: first begun, first done
			return -1
		}
		return 1
	})
	s.pending = slices.Insert(s.pending, at, done)
}

func (s *simulation) complete() {
	op := s.pending[0]
	s.pending = s.pending[1:]
	s.now = max(s.now, op.Time)
	op = s.record(op)
	t := op.Process % len(s.all)
	s.busy[t] = false
	if op.Kind == harness.Info {
		s.all[t] += len(s.all)
	}
	s.gen = s.gen.Update(s.context(), op)
}

func (s *simulation) drain() {
	for len(s.pending) > 0 {
		s.complete()
	}
}

func (s *simulation) record(op harness.Op) harness.Op {
	op.Index, op.Time = len(s.history), s.now
	s.history = append(s.history, op)
	return op
}

// Invocations filters a history for the beginnings of operations.
func Invocations(history []harness.Op) []harness.Op {
	var ops []harness.Op
	for _, op := range history {
		if op.Kind == harness.Invoke {
			ops = append(ops, op)
		}
	}
	return ops
}
