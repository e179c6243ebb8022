package harness

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// A Fault is one disturbance: a line of a schedule. Everything random about it is
// already decided, so a saved schedule can be edited and played again.
type Fault struct {
	ID    string        `json:"id"`              // "f1", "f2", ... in order of Start
	Kind  string        `json:"kind"`            // "partition", "pause", "kill", "packet", "clock", "disk", "membership"
	Name  string        `json:"name"`            // which of its kind: "halves", "one-way", "one"
	Start time.Duration `json:"start"`           // planned, since the load began
	Stop  time.Duration `json:"stop"`            // planned heal
	Links []Link        `json:"links,omitempty"` // partition: links to cut, default all between Nodes and the others; packet: links to shape
	Nodes []NodeID      `json:"nodes,omitempty"` // partition: the side that is named; else whom
	Role  *Role         `json:"role,omitempty"`  // whom instead of Nodes, which then are what it was resolved to

	Signal string     `json:"signal,omitempty"` // kill: "KILL", the default, or "TERM"
	Shape  *Shape     `json:"shape,omitempty"`  // packet: what is done to them
	Skew   *Skew      `json:"skew,omitempty"`   // clock: how it is wrong
	Disk   *DiskFault `json:"disk,omitempty"`   // disk: how it is bad
	Spare  NodeID     `json:"spare,omitempty"`  // membership: the machine that is added
}

// OfClients reports whether the fault cuts links of [Clients] and no others: the nodes hear each other.
func (f Fault) OfClients() bool {
	return len(f.Links) > 0 && !slices.ContainsFunc(f.Links, func(l Link) bool { return !l.OfClients() })
}

// Evidence shows whether a fault did what it was meant to do.
type Evidence struct {
	Injected time.Duration `json:"injected"`           // since the run began: in force from here
	Healed   time.Duration `json:"healed,omitempty"`   // undone from here
	Probes   []Probe       `json:"probes,omitempty"`   //
	Dropped  uint64        `json:"dropped,omitempty"`  // packets discarded, probes left out
	Hit      uint64        `json:"hit,omitempty"`      // packets or disk operations that it changed, held up or failed
	Problems []string      `json:"problems,omitempty"` // why it does not count as proven; empty: it bit, held and healed
}

// Proven reports whether the fault bit, held until its heal, and healed. A nemesis that
// tells of no problem but not of an injection or of no observation has proven nothing.
func (e Evidence) Proven() bool {
	return len(e.Problems) == 0 && len(e.Probes) > 0 && e.Injected > 0 && e.Healed >= e.Injected
}

// A Probe is one observation of a fault.
type Probe struct {
	When string        `json:"when"` // "before", "during", "after"
	What string        `json:"what"` // "n1->n2 open", "n3 paused"
	Want bool          `json:"want"`
	Got  bool          `json:"got"`
	Time time.Duration `json:"time"` // since the run began
}

// A Skipper is a nemesis that may leave out what a cluster cannot have.
type Skipper interface {
	// Skipped tells, once Check was content, what is left out.
	Skipped() []Skip
}

// A Nemesis injects faults of one or more kinds. Inject and Heal of different faults
// may be called concurrently; those of one fault are called once each, in order, and
// Heal also after a failed Inject.
type Nemesis interface {
	Name() string
	// Check says what the cluster lacks for this nemesis, before anything starts.
	Check(c Cluster) error
	// Plan draws faults for a load of the given length, the last one healed before
	// its end. It is a function of its arguments.
	Plan(r *rand.Rand, nodes []NodeID, span time.Duration) []Fault
	// Inject makes the fault happen and proves that it did.
	Inject(ctx context.Context, c Cluster, f Fault, now func() time.Duration) (Evidence, error)
	// Heal proves that the fault held until now, undoes it and proves that too. It
	// adds to e.
	Heal(ctx context.Context, c Cluster, f Fault, e *Evidence, now func() time.Duration) error
}
