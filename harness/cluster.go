package harness

import (
	"context"
	"io"
)

// A Cluster runs the nodes of a store. Methods are safe for concurrent use unless
// they say otherwise. Further abilities are separate interfaces.
type Cluster interface {
	// World is "docker" or "sim".
	World() string
	// Nodes lists the nodes in a fixed order.
	Nodes() []NodeID
	// Address is where a client reaches the node, host:port. Valid after Start.
	Address(n NodeID) string
	// Start creates and starts all nodes and returns when their processes run. On an
	// error nothing stays behind.
	Start(ctx context.Context) error
	// Stop removes everything that Start made. It is idempotent.
	Stop(ctx context.Context) error
}

// A Link is the way from one node to another. Cutting it loses packets From sends to To.
type Link struct {
	From NodeID `json:"from"`
	To   NodeID `json:"to"`
}

// A Partitioner can cut links. Cuts are named by the fault that made them and may
// overlap: a link is open when no fault cuts it.
type Partitioner interface {
	// Cut loses every packet on the links from now on, all at once for each node.
	Cut(ctx context.Context, fault string, links []Link) error
	// Mend undoes one fault's cut. Mending an unknown fault is no error.
	Mend(ctx context.Context, fault string) error
	// Dropped counts the packets that the fault's rules have discarded, by link. It
	// must be asked before Mend.
	Dropped(ctx context.Context, fault string) (map[Link]uint64, error)
	// Probe sends something over each link and tells which arrived.
	Probe(ctx context.Context, links []Link) (map[Link]bool, error)
}

// A Pauser can freeze a node's process so that it neither runs nor dies. Pausing a
// paused node and resuming a running one are no errors.
type Pauser interface {
	Pause(ctx context.Context, n NodeID) error
	Resume(ctx context.Context, n NodeID) error
	Paused(ctx context.Context, n NodeID) (bool, error)
}

// A LogFetcher can show what a node has logged since it was created.
type LogFetcher interface {
	Logs(ctx context.Context, n NodeID, w io.Writer) error
}
