package store

import (
	"encoding/hex"
	"time"
)

// Limits on what a client may store. They are checked when a request enters the
// cluster, never when one replica passes data on to another.
const (
	KeySizeBytesMax     = 1 << 10  // longest key, its bucket included
	ValueSizeBytesMax   = 1 << 20  // largest value; the paper stores objects below 1 MB (section 2.1)
	ObjectSizeBytesWarn = 5 << 20  // values of all siblings of one key together, from which a warning is logged
	ObjectSizeBytesMax  = 50 << 20 // the same, at which further blind puts are refused
	SiblingsWarn        = 25       // siblings of one key from which a warning is logged
	SiblingsMax         = 100      // siblings of one key at which further blind puts are refused
)

// A Key names an object. Any bytes are allowed, 1 to KeySizeBytesMax of them. What comes
// before the first slash names the key's [Bucket].
type Key string

// A NodeID names a member of the cluster, for example "n1".
type NodeID string

// A WriteID names one put for ever. A retry carries the id of the first attempt,
// so that the copies it leaves are shown to readers as one sibling.
type WriteID [16]byte

// String returns the id in hexadecimal.
func (id WriteID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the id was never set.
func (id WriteID) IsZero() bool { return id == WriteID{} }

// A Context is an opaque token that stands for everything a read has shown. A put
// that carries it supersedes exactly those versions (paper, section 4.4). It is
// bound to its key and checksummed; the empty Context supersedes nothing.
type Context []byte

// A Sibling is one of the concurrent versions of a key.
type Sibling struct {
	Value     []byte  // nil when Tombstone
	Tombstone bool    // a delete that no other version supersedes
	WriteID   WriteID // the put that made it
}

// An Outcome says what became of a put.
type Outcome uint8

// Outcomes of a put. Only NotWritten proves that no replica took it; an Unknown put
// may still become visible through a hint, a read repair or anti-entropy.
const (
	OutcomeOK Outcome = iota
	OutcomeUnknown
	OutcomeNotWritten
)

// String returns "ok", "unknown" or "not-written".
func (o Outcome) String() string {
	return [...]string{"ok", "unknown", "not-written"}[o]
}

// A ReplicaState is how one replica took part in a request.
type ReplicaState uint8

// States of a replica in a request.
const (
	ReplicaOK       ReplicaState = iota // answered, and with as much as the merged result
	ReplicaStale                        // answered a read with less than the merged result
	ReplicaNotFound                     // answered a read with nothing
	ReplicaRepaired                     // was stale or empty and was written back to before the reply
	ReplicaFailed                       // answered with an error
	ReplicaTimeout                      // did not answer in time
	ReplicaSkipped                      // believed down, not asked
	ReplicaRefused                      // took nothing: it is overloaded, or has no room for a hint
)

// String returns the state's name in lower case.
func (s ReplicaState) String() string {
	return [...]string{"ok", "stale", "notfound", "repaired", "failed", "timeout", "skipped", "refused"}[s]
}

// A Reply is what one replica contributed to a request.
type Reply struct {
	Node  NodeID
	For   NodeID // the owner a fallback stood in for; empty for an owner
	State ReplicaState
	RTT   time.Duration
}

// Meta says how a request was served. It travels with every reply and with every
// error that came from a coordinator, because a client cannot see any of it otherwise.
type Meta struct {
	Coordinator   NodeID
	Forwarded     bool          // the node that was asked handed the request to Coordinator
	Partition     uint32        // the key's partition
	N             int           // owners that the request was about
	Need          int           // acknowledgements that it asked for: R, or W or DW whichever is more
	Replies       []Reply       // in preference-list order, up to the moment of the reply
	Owners        int           // owners that took part themselves
	StandIns      int           // other nodes that took part in the place of an owner
	Hinted        int           // writes parked on another node for an owner
	Durable       int           // nodes that have a write on disk, of those that took part
	Siblings      int           // versions in the result, tombstones included
	VectorEntries int           // actors in the result's version vector
	Degraded      bool          // fewer owners took part than the request asked for; fallbacks made up the number
	Repairs       int           // replicas written back to before the reply
	Rounds        int           // a session's read: how often replicas were asked again to reach the floor
	Total         time.Duration // from the coordinator's taking the request to its reply
}

// A ReadResult is the answer to a get. A key that was never written, or whose every
// sibling is a tombstone, has no live sibling; that is an answer, not an error.
type ReadResult struct {
	Siblings []Sibling // tombstones included, in a fixed order
	Context  Context   // supersedes exactly Siblings
	Meta     Meta
}

// A WriteResult is the answer to a put or delete that reached its quorum.
type WriteResult struct {
	Siblings []Sibling // what the coordinator holds after the write, the write itself included
	Context  Context   // supersedes exactly Siblings
	WriteID  WriteID   // the name that the client library gave the write
	Meta     Meta
}

// A Rand returns a number that depends on the process's seed and the given names
// and on nothing else: the same names give the same number. It is safe for
// concurrent use. Code that needs a choice names it, for example by operation,
// peer and attempt, so that a simulated run can be repeated (docs/ARCHITECTURE.md, simulation).
type Rand func(names ...uint64) uint64

// A Member is a node and where its peers and clients reach it.
type Member struct {
	ID      NodeID
	Address string // host:port
}
