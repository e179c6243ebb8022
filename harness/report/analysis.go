package report

import (
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A call is an operation of a client or a final read: an invocation with its completion.
type call struct {
	inv  harness.Op
	done harness.Op // the zero Op with Kind Info if it never completed
	end  time.Duration
}

// outcome returns how the call ended; one that did not is Info.
func (c call) outcome() harness.Kind { return c.done.Kind }

func (c call) latency() time.Duration { return c.end - c.inv.Time }

// overlaps reports whether the call was in flight at some time of [start, stop].
func (c call) overlaps(start, stop time.Duration) bool {
	return c.inv.Time <= stop && c.end >= start
}

// A window is a fault with the time that it was in force.
type window struct {
	harness.FaultRecord
	Start, Stop time.Duration // since the run began
	Struck      bool          // it was injected; otherwise Start and Stop are the plan's
}

// An analysis is a result and its history, joined up for drawing.
type analysis struct {
	res     harness.Result
	ops     []harness.Op
	calls   []call // of clients, by invocation
	finals  []call // replica reads of the final phase
	at      map[int]*call
	windows []window
	load    [2]time.Duration // start and end of the load
	end     time.Duration    // last line of the history
}

func analyse(res harness.Result, ops []harness.Op) *analysis {
	a := &analysis{res: res, ops: ops, at: make(map[int]*call)}
	if len(ops) > 0 {
		a.end = ops[len(ops)-1].Time
	}
	for _, p := range history.Pairs(ops) {
		c := call{inv: ops[p.Invoke], done: harness.Op{Kind: harness.Info}, end: a.end}
		if p.Completion >= 0 {
			c.done = ops[p.Completion]
			c.end = c.done.Time
		}
		switch {
		case c.inv.Process == harness.FinalProcess && c.inv.F == harness.ReplicaRead:
			a.finals = append(a.finals, c)
		case c.inv.Process >= 0:
			a.calls = append(a.calls, c)
		}
	}
	a.index(a.calls)
	a.index(a.finals)
	a.bounds()
	for _, f := range res.Faults {
		a.windows = append(a.windows, a.window(f))
	}
	slices.SortStableFunc(a.windows, func(x, y window) int { return int(x.Start - y.Start) })
	return a
}

func (a *analysis) index(calls []call) {
	for i := range calls {
		a.at[calls[i].inv.Index] = &calls[i]
		if calls[i].done.Kind != harness.Info || calls[i].done.Index > 0 {
			a.at[calls[i].done.Index] = &calls[i]
		}
	}
}

// bounds finds the load phase: recorded, or from the first client call to the last.
func (a *analysis) bounds() {
	for _, p := range a.res.Phases {
		if p.Phase == harness.Load {
			a.load = [2]time.Duration{p.Start, p.End}
		}
		a.end = max(a.end, p.End)
	}
	if a.load[1] > a.load[0] || len(a.calls) == 0 {
		return
	}
	a.load[0] = a.calls[0].inv.Time
	for _, c := range a.calls {
		a.load[1] = max(a.load[1], c.end)
	}
}

// busy is when the load and the faults were over. What follows, settling and reading
// copies, has nothing that a plot could show.
func (a *analysis) busy() time.Duration {
	t := a.load[1]
	for _, w := range a.windows {
		if w.Struck {
			t = max(t, w.Stop)
		}
	}
	if t == 0 {
		return a.end
	}
	return t
}

// window returns when a fault was in force. One that was never healed lasted to the
// end of the load, as far as anybody knows.
func (a *analysis) window(f harness.FaultRecord) window {
	w := window{FaultRecord: f, Start: f.Evidence.Injected, Stop: f.Evidence.Healed, Struck: f.Evidence.Injected > 0}
	if !w.Struck {
		w.Start = a.load[0] + f.Fault.Start
	}
	if w.Stop <= w.Start {
		w.Stop = a.load[0] + f.Fault.Stop
	}
	if w.Stop <= w.Start {
		w.Stop = a.load[1]
	}
	return w
}

// within reports whether a call overlapped any fault that was in force.
func (a *analysis) within(c call) bool {
	return slices.ContainsFunc(a.windows, func(w window) bool { return w.Struck && c.overlaps(w.Start, w.Stop) })
}

// live counts the siblings of a reading that are not tombstones.
func live(sibs []harness.Sibling) int {
	n := 0
	for _, s := range sibs {
		if !s.Tombstone {
			n++
		}
	}
	return n
}
