package harness

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A NodeID names a node of the cluster under test, for example "n1".
type NodeID string

// A Kind is the stage or outcome of an operation.
type Kind string

// Kinds of history lines. Every operation is an Invoke followed by one completion.
const (
	Invoke Kind = "invoke"
	OK     Kind = "ok"   // it took effect, and the line says what was seen
	Fail   Kind = "fail" // it certainly had no effect
	Info   Kind = "info" // nobody knows; it may take effect at any later time
)

// Functions that generic checkers know. A workload's own meaning goes into Op.Action.
const (
	Get         = "get"
	Put         = "put"
	Delete      = "delete"
	ReplicaRead = "replica-read" // the final phase's look at one node's own copy
	Audit       = "audit"        // the final phase's question to one node whether all is well with it
)

// Functions of histories from elsewhere, beside Get and Put, for stores that have them.
const (
	CAS    = "cas"    // sets Value if the value is Element; Fail without an Error: it was another
	Add    = "add"    // adds Element to a set
	Append = "append" // appends Element to a list
)

// Processes that are not clients.
const (
	NemesisProcess = -1 // fault lines: Op.Fault says which
	FinalProcess   = -2 // replica reads of the final phase
)

// A Phase is a part of a run.
type Phase string

// Phases in their order.
const (
	Load   Phase = "load"   // clients work, faults strike
	Settle Phase = "settle" // everything is healed; the cluster becomes quiet
	Final  Phase = "final"  // every key is read on every replica
)

// An Op is one line of a history: an invocation or its completion. The completion
// repeats what the invocation said. Field names on disk are documented in
// results/README.md; unset fields are left out.
type Op struct {
	Index   int           `json:"index"`          // position in the history, from 0
	Time    time.Duration `json:"time"`           // since the run began, one monotonic clock, nanoseconds
	Process int           `json:"process"`        // a logical client; a new one after every Info
	Kind    Kind          `json:"kind"`           //
	F       string        `json:"f"`              // get, put, delete, replica-read, or a fault's kind
	Key     string        `json:"key,omitempty"`  //
	Node    NodeID        `json:"node,omitempty"` // the node that was asked
	Phase   Phase         `json:"phase,omitempty"`

	Value   string `json:"value,omitempty"`   // written by a put; unique among all puts of a key
	Context []byte `json:"context,omitempty"` // sent by a put or delete; it was the Token of an earlier completion. Of a get: what it must show at least
	Action  string `json:"action,omitempty"`  // what it means to the workload: "add", "remove"
	Element string `json:"element,omitempty"` // what Action is about

	Siblings []Sibling `json:"siblings,omitempty"` // seen by a read, or left behind by a put
	Token    []byte    `json:"token,omitempty"`    // context received: it supersedes exactly Siblings
	Write    string    `json:"write,omitempty"`    // of a delete: the name by which Siblings show its tombstone, where the client chose it
	State    string    `json:"state,omitempty"`    // replica reads: digest of the copy; equal copies have equal states
	Meta     *Meta     `json:"meta,omitempty"`     // how the store says it served the request
	Flaws    []Flaw    `json:"flaws,omitempty"`    // audits: what the node found wrong with itself
	Error    string    `json:"error,omitempty"`    //
	GivenUp  bool      `json:"given_up,omitempty"` // not ok, and the run was cut short while it waited: that is no fault of the store's

	Fault    *Fault    `json:"fault,omitempty"`    // fault lines
	Evidence *Evidence `json:"evidence,omitempty"` // fault lines, on completion
}

// IsWrite reports whether the operation may change the store.
func (o Op) IsWrite() bool { return o.F == Put || o.F == Delete }

// A Sibling is one version that a read showed.
type Sibling struct {
	Value     string `json:"value,omitempty"`
	Tombstone bool   `json:"tombstone,omitempty"`
	Write     string `json:"write,omitempty"` // the store's own name for the write, where it tells one
}

// Kinds of flaws.
const (
	TreeDrift     = "tree-drift"     // a hash tree is not that of the records below it
	DamagedRecord = "damaged-record" // bytes that cannot be what was written
	TombstoneLeft = "tombstone-left" // a tombstone that was there for several looks for such, with nothing to hold it
	Amnesia       = "amnesia"        // it was shown events of its own that it had forgotten
	EndlessRepair = "endless-repair" // it has mended one and the same difference again and again

	TwiceOwner      = "twice-owner"      // a partition has fewer distinct owners than replicas
	UnevenShares    = "uneven-shares"    // of nodes of equal capacity one owns more than its share
	OtherLayout     = "other-layout"     // it goes by another layout of the cluster than its peers
	ReturnedMember  = "returned-member"  // it takes one for a member that it knows to have been removed
	ForgottenMember = "forgotten-member" // it does not know any more that a member has left, and would take it back

	HintFlood   = "hint-flood"   // it has delivered more hints to one node at a time than it may
	WastedCalls = "wasted-calls" // it went on to call a peer that did not answer
	Unchecked   = "unchecked"    // it gave up to compare its hash trees with its records
	AstrayHints = "astray-hints" // hints that it dropped though one whom they were for had not acknowledged them
	StuckHints  = "stuck-hints"  // hints wait for a peer that is up, though all has been well for long
	Starved     = "starved"      // background work went on as fast as ever while clients' requests were late
)

// A Flaw is something that a node found wrong with itself.
type Flaw struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"` // how often; at least 1
	What  string `json:"what"`  // in words, without the node's name
}

// SiblingSet names a set of siblings, whatever their order: equal sets, equal names.
func SiblingSet(siblings []Sibling) string {
	lines := make([]string, 0, len(siblings))
	for _, s := range siblings {
		lines = append(lines, fmt.Sprintf("%q %t %q", s.Value, s.Tombstone, s.Write))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// CopyState names the copy that a replica read returned: its digest, or what it shows
// where the store has no digests. Equal copies have equal names.
func (o Op) CopyState() string {
	if o.State != "" {
		return o.State
	}
	return SiblingSet(o.Siblings)
}

// Meta is what a store says about how it served a request. Stores that say nothing leave it out.
type Meta struct {
	Coordinator NodeID  `json:"coordinator,omitempty"`
	Forwarded   bool    `json:"forwarded,omitempty"`
	Replies     []Reply `json:"replies,omitempty"`
	Hinted      int     `json:"hinted,omitempty"`   // writes parked on a stand-in
	Degraded    bool    `json:"degraded,omitempty"` // stand-ins made up the quorum
	Repairs     int     `json:"repairs,omitempty"`  // replicas written back to before the reply
	Rounds      int     `json:"rounds,omitempty"`   // a read with a floor: how often replicas were asked again
	Attempts    int     `json:"attempts,omitempty"` // a put that may be repeated: how often it was sent
}

// A Reply is what one replica contributed.
type Reply struct {
	Node  NodeID        `json:"node"`
	For   NodeID        `json:"for,omitempty"` // the owner it stood in for
	State string        `json:"state"`         // ok, stale, notfound, repaired, failed, timeout, skipped
	RTT   time.Duration `json:"rtt,omitempty"`
}

// Definite reports whether an error of a Client proves that the operation had no
// effect. The client's error says so by a method Definite() bool; every other
// error is indefinite, because that can hide a bug but never invent one.
func Definite(err error) bool {
	var d interface{ Definite() bool }
	return errors.As(err, &d) && d.Definite()
}

// Complete returns the completion of an invocation whose client call returned err:
// OK without one; Fail for a read, which changes nothing, and for a write that was
// definitely not done; Info otherwise.
func Complete(op Op, err error) Op {
	switch {
	case err == nil:
		op.Kind = OK
	case !op.IsWrite(), Definite(err):
		op.Kind, op.Error = Fail, err.Error()
	default:
		op.Kind, op.Error = Info, err.Error()
	}
	return op
}
