package harness

import (
	"context"
	"time"
)

// A Client is one process's connection to one node of the store under test. It is
// used by one goroutine. Every call is exactly one attempt: a client never retries a
// write behind its caller's back, only where WriteOptions.Attempts asks for it. Errors that prove a write undone say so (see
// [Definite]); calls return soon after their context ends.
type Client interface {
	Get(ctx context.Context, key string, o ReadOptions) (Reading, error)
	// Put writes a value that supersedes what the token covers; an empty token supersedes nothing.
	Put(ctx context.Context, key, value string, token []byte, o WriteOptions) (Reading, error)
	// Delete removes what the token covers.
	Delete(ctx context.Context, key string, token []byte, o WriteOptions) (Reading, error)
	Close() error
}

// ReadOptions are the consistency knobs of a read. A target that lacks one refuses the run.
type ReadOptions struct {
	R            int    `json:"r,omitempty"`             // replicas that must answer; 0: the store's default
	N            int    `json:"n,omitempty"`             // owners that the read is about; 0: all
	PR           int    `json:"pr,omitempty"`            // owners among those that must answer; 0: none need be
	NodeConfirms int    `json:"node_confirms,omitempty"` // distinct nodes that must answer; 0: whatever R makes it
	Strict       bool   `json:"strict,omitempty"`        // only the key's owners count
	Repair       string `json:"repair,omitempty"`        // "async" (default), "blocking" or "none"
	NotFound     string `json:"not_found,omitempty"`     // what an empty answer is worth: "counts" (default), "does-not-count" or "basic-quorum"
	Floor        string `json:"-"`                       // the bytes of a token of an earlier answer: show all that it covers, or fail; Perform fills it in
}

// WriteOptions are the consistency knobs of a write.
type WriteOptions struct {
	W            int    `json:"w,omitempty"`             // replicas that must store it; 0: the store's default
	N            int    `json:"n,omitempty"`             // owners that it goes to at once; 0: all
	PW           int    `json:"pw,omitempty"`            // owners among those that must store it; 0: none need be
	DW           int    `json:"dw,omitempty"`            // replicas that must have it on disk; 0: whatever W makes it
	NodeConfirms int    `json:"node_confirms,omitempty"` // distinct nodes that must store it; 0: whatever W makes it
	Strict       bool   `json:"strict,omitempty"`        // only the key's owners count
	Durability   string `json:"durability,omitempty"`    // what is on disk at the acknowledgement: "all", "one" (the coordinator's copy), "none"; empty: the store's default
	Attempts     int    `json:"attempts,omitempty"`      // of a put whose outcome is unknown, all under one name; 0: one
}

// StoreOptions say how the nodes of a store are set up, where a workload wants them
// otherwise than they are by default. Whoever starts the nodes sees to it.
type StoreOptions struct {
	NoAntiEntropy bool   `json:"no_anti_entropy,omitempty"` // replicas do not compare what they hold: hints and reads alone repair
	HintBytes     uint64 `json:"hint_bytes,omitempty"`      // bytes of hints that a node keeps for others; 0: the store's default
	HintRate      int    `json:"hint_rate,omitempty"`       // bytes of hints a second that a node delivers to one owner; 0: the store's default
	// CacheBytes and MemtableBytes are kept in memory of what a node has read from its disk and of what it has written, by each of its
	// databases: with little of both reads go to the disk. 0: the store's default.
	CacheBytes    int `json:"cache_bytes,omitempty"`
	MemtableBytes int `json:"memtable_bytes,omitempty"`
	// CheckInterval is the time after which a node goes through all of its records to see whether they are what their hash trees
	// say; 0: the store's default.
	CheckInterval time.Duration `json:"check_interval,omitempty"`
	// FlushAfter lets nodes acknowledge from memory what a write asks for, down to a durability of "none": it is on disk so
	// much later. 0: as the store does by default, which takes no "none".
	FlushAfter time.Duration `json:"flush_after,omitempty"`
	// Routed makes clients learn the layout and ask the nodes of a key's preference list by themselves. The node that an operation
	// names is then the one that its client learns from, and not the one that is asked.
	Routed bool `json:"routed,omitempty"`
	// TombstoneInterval is the time between two looks of a node for tombstones that may be collected, however young; 0: all are kept.
	TombstoneInterval time.Duration `json:"tombstone_interval,omitempty"`
}

// A Reading is the current state of a key as one request saw it.
type Reading struct {
	Siblings []Sibling
	Token    []byte // supersedes exactly Siblings
	Write    string // of a delete, whatever came of it: the name by which siblings show its tombstone, if the client chose one
	State    string // replica reads only: digest of the copy
	Meta     *Meta
}

// A Target is a store under test: it knows how to reach a node that a cluster runs.
// It is safe for concurrent use.
type Target interface {
	Name() string
	// Open connects to one node. It does not wait for the node to be up.
	Open(ctx context.Context, c Cluster, n NodeID) (Client, error)
	// Ready returns nil once the node serves requests.
	Ready(ctx context.Context, c Cluster, n NodeID) error
}

// A ReplicaReader is a target that can show one node's own copy of a key.
type ReplicaReader interface {
	// Replicas names the nodes that should hold the key when the cluster is quiet.
	Replicas(ctx context.Context, c Cluster, key string) ([]NodeID, error)
	ReadReplica(ctx context.Context, c Cluster, n NodeID, key string) (Reading, error)
}

// An Auditor is a target whose nodes can hold what they keep up beside their records, such as
// hash trees, against the records themselves.
type Auditor interface {
	// Audit returns what node n finds wrong with itself; nothing if all is well.
	Audit(ctx context.Context, c Cluster, n NodeID) ([]Flaw, error)
}

// A Quiescer is a target that knows when it has nothing left to do.
type Quiescer interface {
	// Quiet returns an empty reason when no hint waits and replicas have compared
	// equal since the last write, otherwise what is still going on.
	Quiet(ctx context.Context, c Cluster) (reason string, err error)
}
