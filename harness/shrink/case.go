package shrink

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// A Case is a run as data.
type Case struct {
	Seed     uint64           `json:"seed"`
	Nodes    []harness.NodeID `json:"nodes"`
	Threads  []harness.NodeID `json:"threads"` // the node that each client talks to
	Time     time.Duration    `json:"time"`    // of the load
	Schedule []harness.Fault  `json:"schedule"`
	Steps    []harness.Step   `json:"steps"` // by time; Thread is a position in Threads, Node is what stands there
}

// Size says how much there is of a case.
type Size struct {
	Nodes, Threads, Keys, Faults, Steps int
	Time                                time.Duration
}

// Size counts.
func (c Case) Size() Size {
	return Size{len(c.Nodes), len(c.Threads), len(c.keys()), len(c.Schedule), len(c.Steps), c.Time}
}

// String is the size in words.
func (s Size) String() string {
	return fmt.Sprintf("%s by %s on %s, %s, %s, %v",
		count(s.Steps, "operation"), count(s.Threads, "client"), count(s.Keys, "key"),
		count(s.Faults, "fault"), count(s.Nodes, "node"), s.Time.Round(time.Millisecond))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// id names a case by its content.
func (c Case) id() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("shrink: encode case: %v", err)) // strings and numbers always marshal
	}
	return string(b)
}

// keys lists the keys in the order of their first steps.
func (c Case) keys() []string {
	var keys []string
	seen := make(map[string]bool)
	for _, s := range c.Steps {
		if !seen[s.Key] {
			seen[s.Key] = true
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// Validate says what keeps a case from being played.
func (c Case) Validate() error {
	for i, n := range c.Threads {
		if !slices.Contains(c.Nodes, n) {
			return fmt.Errorf("case: client %d talks to %q, which is no node", i, n)
		}
	}
	for i, s := range c.Steps {
		switch {
		case s.Thread < 0 || s.Thread >= len(c.Threads):
			return fmt.Errorf("case: step %d is client %d's, there are %d", i, s.Thread, len(c.Threads))
		case s.Node != c.Threads[s.Thread]:
			return fmt.Errorf("case: step %d asks %q, its client talks to %q", i, s.Node, c.Threads[s.Thread])
		}
	}
	if !slices.IsSortedFunc(c.Steps, func(a, b harness.Step) int { return cmp.Compare(a.At, b.At) }) {
		return fmt.Errorf("case: the steps are not in the order of their times")
	}
	return nil
}

// without returns s less the entries from..to.
func without[T any](s []T, from, to int) []T {
	return append(slices.Clone(s[:from]), s[to:]...)
}

// withoutKeys takes all steps on some of the keys away.
func (c Case) withoutKeys(from, to int) Case {
	gone := c.keys()[from:to]
	c.Steps = slices.DeleteFunc(slices.Clone(c.Steps), func(s harness.Step) bool { return slices.Contains(gone, s.Key) })
	return c
}

func (c Case) withoutFaults(from, to int) Case {
	c.Schedule = without(c.Schedule, from, to)
	return c
}

func (c Case) withoutSteps(from, to int) Case {
	c.Steps = without(c.Steps, from, to)
	return c
}

// withoutThreads takes clients away with all that they do.
func (c Case) withoutThreads(from, to int) Case {
	steps := c.Steps
	c.Steps = nil
	for _, s := range steps {
		switch {
		case s.Thread >= to:
			s.Thread -= to - from
		case s.Thread >= from:
			continue
		}
		c.Steps = append(c.Steps, s)
	}
	c.Threads = without(c.Threads, from, to)
	return c
}

// merged gives a client's steps to another one and takes it away.
func (c Case) merged(from, into int) Case {
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		if s := &c.Steps[i]; s.Thread == from {
			s.Thread, s.Node = into, c.Threads[into]
		}
	}
	return c.withoutThreads(from, from+1)
}

// withoutNode takes one node away. The others close up, so that the names stay the first
// ones, and then exchange their names in a circle, turn places on: who owns a key depends on
// the names alone, and one turn may suit the faults that another does not. The node's
// clients move to its successor.
func (c Case) withoutNode(at, turn int) Case {
	left := without(c.Nodes, at, at+1)
	names := make(map[harness.NodeID]harness.NodeID)
	for i, n := range left {
		names[n] = c.Nodes[(i+turn)%len(left)]
	}
	heir := names[left[at%len(left)]]
	gone := c.Nodes[at]
	home := func(n harness.NodeID) harness.NodeID {
		if n == gone {
			return heir
		}
		return names[n]
	}
	c.Nodes = slices.Clone(c.Nodes[:len(left)])
	c.Threads, c.Steps = slices.Clone(c.Threads), slices.Clone(c.Steps)
	for i, n := range c.Threads {
		c.Threads[i] = home(n)
	}
	for i := range c.Steps {
		c.Steps[i].Node = c.Threads[c.Steps[i].Thread]
	}
	schedule := c.Schedule
	c.Schedule = nil
	for _, f := range schedule {
		if f, ok := renamed(f, names); ok {
			c.Schedule = append(c.Schedule, f)
		}
	}
	return c
}

// renamed is a fault for the nodes that have a new name; false: nothing of it is left.
func renamed(f harness.Fault, names map[harness.NodeID]harness.NodeID) (harness.Fault, bool) {
	cuts := len(f.Links) > 0
	end := func(n harness.NodeID) harness.NodeID {
		if n == harness.Clients {
			return n
		}
		return names[n]
	}
	var links []harness.Link
	for _, l := range f.Links {
		from, to := end(l.From), end(l.To)
		if from != "" && to != "" {
			links = append(links, harness.Link{From: from, To: to})
		}
	}
	var nodes []harness.NodeID
	for _, n := range f.Nodes {
		if names[n] != "" {
			nodes = append(nodes, names[n])
		}
	}
	slices.Sort(nodes)
	f.Links, f.Nodes = links, nodes
	return f, len(links) > 0 || !cuts && len(nodes) > 0
}
