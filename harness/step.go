package harness

import "time"

// A Step is what one client did, without what depended on the store's replies: contexts,
// and values made from what was read. Steps can be taken away one by one and played
// again; see Workload.Replay.
type Step struct {
	At      time.Duration `json:"at"`     // when it began, since the load began
	Thread  int           `json:"thread"` //
	Node    NodeID        `json:"node"`   // the node that was asked
	F       string        `json:"f"`      //
	Key     string        `json:"key"`    //
	Action  string        `json:"action,omitempty"`
	Element string        `json:"element,omitempty"`
	Put     int           `json:"put,omitempty"` // a put: which of its run, from 1; it names the value, whatever else is taken away
}

// StepsOf returns what the clients of a run with so many threads did, in order.
func StepsOf(h []Op, threads int) []Step {
	var steps []Step
	puts := 0
	for _, op := range h {
		if op.Kind != Invoke || op.Process < 0 || threads < 1 {
			continue
		}
		s := Step{
			At: op.Time, Thread: op.Process % threads, Node: op.Node,
			F: op.F, Key: op.Key, Action: op.Action, Element: op.Element,
		}
		if op.F == Put {
			puts++
			s.Put = puts
		}
		steps = append(steps, s)
	}
	return steps
}
