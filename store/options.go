package store

import "time"

// A Mode says which nodes may stand for a replica (paper, section 4.6).
type Mode uint8

// Sloppy quorums count the first N healthy nodes of the preference list; strict
// quorums count the key's N owners only.
const (
	ModeDefault Mode = iota // the bucket's, which is sloppy unless it says otherwise
	Sloppy
	Strict
)

// String returns "default", "sloppy" or "strict".
func (m Mode) String() string {
	return [...]string{"default", "sloppy", "strict"}[m]
}

// A RepairMode says what a read does about replicas that answered with less than
// the merged result (paper, section 5).
type RepairMode uint8

// Repair modes of a read.
const (
	RepairDefault  RepairMode = iota // the bucket's, which is async unless it says otherwise
	RepairAsync                      // reply first, then write back
	RepairBlocking                   // reply only when enough owners hold the result that no later quorum can miss it
	RepairNone                       // leave it to hinted handoff and anti-entropy
)

// String returns "default", "async", "blocking" or "none".
func (m RepairMode) String() string {
	return [...]string{"default", "async", "blocking", "none"}[m]
}

// A NotFoundMode says what a replica's "I have nothing" is worth to a read. With R = 2, a
// key that one replica holds and two have not heard of yet can read as absent if it is
// worth an answer.
type NotFoundMode uint8

// Not-found modes of a read.
const (
	NotFoundDefault      NotFoundMode = iota // the bucket's, which is to count unless it says otherwise
	NotFoundCounts                           // it is one of the R answers: fast, and a lone holder may be missed
	NotFoundDoesNotCount                     // the read waits for R nodes that hold the key, or for the last answer
	NotFoundBasicQuorum                      // the same, but a majority of the N that has nothing ends the wait
)

// String returns "default", "counts", "does-not-count" or "basic-quorum".
func (m NotFoundMode) String() string {
	return [...]string{"default", "counts", "does-not-count", "basic-quorum"}[m]
}

// ReadOptions are the knobs of one get. The zero value of each asks for the bucket's default.
type ReadOptions struct {
	N            int           // owners that the read is about; at most the bucket's N
	R            int           // replicas that must answer; at most N
	PR           int           // of them, owners that must answer themselves; at most N
	NodeConfirms int           // distinct nodes, of any kind, that must answer; at most N
	Mode         Mode          // which nodes count toward R
	Repair       RepairMode    // what happens to stale replicas
	NotFound     NotFoundMode  // what an empty answer is worth
	Timeout      time.Duration // from taking the request to the reply; default the caller's own deadline
	// Floor is what the reader has seen already. The read waits, asking again, until its result
	// includes all of it, and fails with a SessionError rather than show less.
	Floor Context
}

// WriteOptions are the knobs of one put or delete. The zero value of each asks for the
// bucket's default.
type WriteOptions struct {
	N            int           // owners that the write goes to at once; anti-entropy brings it to the bucket's others
	W            int           // replicas that must store the write; at most N
	PW           int           // of them, owners that must store it themselves; at most N
	DW           int           // replicas that must have it on disk; at most N
	NodeConfirms int           // distinct nodes, of any kind, that must store it; at most N
	Mode         Mode          // which nodes count toward W
	Durability   Durability    // what is on disk when the write is acknowledged
	Timeout      time.Duration // from taking the request to the reply; default the caller's own deadline
}
