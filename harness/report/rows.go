package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cartwheel/harness"
)

// A faultRow is a line of the fault table with its evidence.
type faultRow struct {
	harness.FaultRecord
	Title, Target   string
	Planned, Actual string
	Before          probeSum
	During          probeSum
	After           probeSum
	Failing         []string // probes that did not show what they should
	MoreFailing     int
	Proven          bool
}

// A probeSum sums up the probes of one moment.
type probeSum struct {
	Good, All int
	What      []string
}

// Lines are the probes themselves if they are few, else how many were as they should.
func (s probeSum) Lines() []string {
	switch {
	case s.All == 0:
		return []string{"–"}
	case len(s.What) <= probesNamed:
		return s.What
	}
	return []string{fmt.Sprintf("%d of %d", s.Good, s.All)}
}

// Bad reports whether a probe failed.
func (s probeSum) Bad() bool { return s.Good < s.All }

func (a *analysis) faultRows() []faultRow {
	windows := slices.Clone(a.windows)
	for _, f := range allFaults(a.res)[len(a.res.Faults):] {
		windows = append(windows, a.window(f))
	}
	out := make([]faultRow, 0, len(windows))
	for _, w := range windows {
		row := faultRow{
			FaultRecord: w.FaultRecord, Title: faultTitle(w.Fault), Target: faultTarget(w.Fault),
			Planned: span(w.Fault.Start, w.Fault.Stop), Actual: "never struck", Proven: w.Evidence.Proven(),
		}
		switch {
		case w.Struck && w.Evidence.Healed > 0:
			row.Actual = span(w.Start, w.Stop)
		case w.Struck:
			row.Actual = fmt.Sprintf("%.2f s – never healed", w.Start.Seconds())
		}
		sums := map[string]*probeSum{"before": &row.Before, "during": &row.During, "after": &row.After}
		for _, p := range w.Evidence.Probes {
			s := sums[p.When]
			if s == nil {
				continue
			}
			s.All++
			s.What = append(s.What, p.What+": "+observed(p))
			if p.Want == p.Got {
				s.Good++
				continue
			}
			if len(row.Failing) == problemsShown {
				row.MoreFailing++
				continue
			}
			row.Failing = append(row.Failing, fmt.Sprintf("%s, at %s: %s: %s", p.When, instant(p.Time), p.What, observed(p)))
		}
		out = append(out, row)
	}
	return out
}

// observed says what a probe saw, and whether that was as it should be.
func observed(p harness.Probe) string {
	saw := map[bool]string{true: "yes", false: "no"}[p.Got]
	if p.Want == p.Got {
		return saw + " ✓"
	}
	return saw + " ✗"
}

// A matrix shows the final state of each key on each node, where they differ.
type matrix struct {
	Nodes []harness.NodeID
	Rows  []matrixRow
	Keys  int // that were read
	More  int // differing keys that are not shown
}

type matrixRow struct {
	Key   string
	Cells []matrixCell
}

// A matrixCell is one copy: equal letters are equal states.
type matrixCell struct{ Letter, Tip, Class string }

// matrix compares the last final read of each copy. It is nil if none was read.
func (a *analysis) matrix() *matrix {
	last := make(map[string]map[harness.NodeID]call)
	nodes := make(map[harness.NodeID]bool)
	for _, c := range a.finals {
		if last[c.inv.Key] == nil {
			last[c.inv.Key] = make(map[harness.NodeID]call)
		}
		last[c.inv.Key][c.inv.Node] = c
		nodes[c.inv.Node] = true
	}
	if len(last) == 0 {
		return nil
	}
	m := &matrix{Nodes: sortedNodes(nodes), Keys: len(last)}
	for key, copies := range last {
		row, differs := matrixRowOf(key, m.Nodes, copies)
		if differs {
			m.Rows = append(m.Rows, row)
		}
	}
	slices.SortFunc(m.Rows, func(x, y matrixRow) int { return cmp.Compare(x.Key, y.Key) })
	if len(m.Rows) > keyMatrixMax {
		m.More = len(m.Rows) - keyMatrixMax
		m.Rows = m.Rows[:keyMatrixMax]
	}
	return m
}

func matrixRowOf(key string, nodes []harness.NodeID, copies map[harness.NodeID]call) (row matrixRow, differs bool) {
	row.Key = key
	letters := make(map[string]int)
	for _, n := range nodes {
		c, ok := copies[n]
		switch {
		case !ok:
			row.Cells = append(row.Cells, matrixCell{Tip: "not an owner", Class: "none"})
			continue
		case c.outcome() != harness.OK:
			row.Cells = append(row.Cells, matrixCell{Letter: "?", Tip: c.done.Error, Class: "unread"})
			differs = true
			continue
		}
		id := cmp.Or(c.done.State, seen(c.done.Siblings))
		if _, ok := letters[id]; !ok {
			letters[id] = len(letters)
		}
		i := letters[id]
		row.Cells = append(row.Cells, matrixCell{
			Letter: string(rune('A' + i%26)), Class: fmt.Sprintf("s%d", i%4),
			Tip: fmt.Sprintf("%s: %s", n, seen(c.done.Siblings)),
		})
	}
	return row, differs || len(letters) > 1
}

// An opRow is an operation of the history as the page lists it.
type opRow struct {
	Index, Done int
	Time, Took  string
	Process     string
	What, Key   string
	Node        harness.NodeID
	Kind        harness.Kind
	Sent, Saw   string
	Replies     string
	Proof       bool
}

// opRows lists the operations that prove anomalies and, as far as there is room, the
// others on the same keys.
func (a *analysis) opRows() (rows []opRow, cut bool) {
	proof, keys := make(map[int]bool), make(map[string]bool)
	for _, f := range a.res.Findings {
		for i, an := range f.Anomalies {
			if i == anomaliesMax {
				break
			}
			keys[an.Key] = true
			for _, op := range an.Ops {
				if c := a.at[op]; c != nil {
					proof[c.inv.Index] = true
				}
			}
		}
	}
	room := opRowsMax - len(proof)
	for _, list := range [][]call{a.calls, a.finals} {
		for _, c := range list {
			is := proof[c.inv.Index]
			switch {
			case !is && !keys[c.inv.Key]:
				continue
			case !is && room <= 0:
				cut = true
				continue
			case !is:
				room--
			}
			rows = append(rows, opRowOf(c, is))
		}
	}
	slices.SortFunc(rows, func(x, y opRow) int { return x.Index - y.Index })
	return rows, cut
}

func opRowOf(c call, proof bool) opRow {
	row := opRow{
		Index: c.inv.Index, Done: c.done.Index, Time: instant(c.inv.Time), Took: short(c.latency()),
		Process: fmt.Sprint(c.inv.Process), What: opLabel(c.inv), Key: c.inv.Key, Node: c.inv.Node,
		Kind: c.outcome(), Saw: c.done.Error, Proof: proof,
	}
	if c.inv.Process == harness.FinalProcess {
		row.Process = "final"
	}
	if c.done.Index == 0 {
		row.Done = c.inv.Index // it never completed
	}
	if c.inv.F == harness.Put && c.inv.Action != "" {
		row.Sent = valueText(c.inv.Value)
	}
	if c.outcome() == harness.OK && (!c.inv.IsWrite() || len(c.done.Siblings) > 0) {
		row.Saw = seen(c.done.Siblings)
	}
	var parts []string
	for _, r := range replies(c) {
		s := string(r.Node) + " " + r.State
		if r.For != "" {
			s += " for " + string(r.For)
		}
		parts = append(parts, s)
	}
	row.Replies = strings.Join(parts, ", ")
	return row
}
