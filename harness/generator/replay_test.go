package generator_test

import (
	"fmt"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
	"cartwheel/harness/generator/gentest"
)

// counting makes every step an operation that tells how much its thread has seen done,
// but leaves out what is to be left out.
type counting map[int]int

func (m counting) Fill(thread int, s harness.Step) (harness.Op, bool) {
	return harness.Op{F: s.F, Key: s.Key, Value: fmt.Sprintf("%d:%d", thread, m[thread])}, s.Action != "skip"
}

func (m counting) Saw(thread int, op harness.Op) generator.Memory {
	next := counting{}
	for t, n := range m {
		next[t] = n
	}
	if op.Kind != harness.Invoke {
		next[thread]++
	}
	return next
}

func TestStepsAreDoneInTheirThreadsAtTheirTimes(t *testing.T) {
	const ms = time.Millisecond
	step := func(at time.Duration, thread int, key string) harness.Step {
		return harness.Step{At: at * ms, Thread: thread, F: harness.Get, Key: key}
	}
	skipped := step(13, 0, "skipped")
	skipped.Action = "skip"
	g := generator.Replay([]harness.Step{
		step(40, 1, "last"), // not in order
		step(5, 0, "first"),
		step(7, 0, "waits for first"),
		step(8, 1, "does not wait"),
		step(9, 7, "of nobody"),
		skipped,
	}, time.Second, counting{})
	h, err := gentest.Simulate(g, gentest.Options{Threads: 2, Time: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range gentest.Invocations(h) {
		got = append(got, fmt.Sprintf("%v %d %s %s", op.Time, op.Process, op.Value, op.Key))
	}
	want := []string{
		"5ms 0 0:0 first",
		"8ms 1 1:0 does not wait",
		"15ms 0 0:1 waits for first",
		"40ms 1 1:1 last",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The load goes on to its end, so that faults after the last step strike.
func TestAReplayIsDoneAtItsEndAndNotBefore(t *testing.T) {
	g := generator.Replay(nil, time.Second, counting{})
	c := harness.GenContext{Free: []int{0}, All: []int{0}}
	if d, _ := g.Next(c); d.State != harness.Pending || d.At != time.Second {
		t.Errorf("at the start: %+v", d)
	}
	c.Time = time.Second
	if d, _ := g.Next(c); d.State != harness.Done {
		t.Errorf("at the end: %+v", d)
	}
}
