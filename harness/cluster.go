package harness

import (
	"context"
	"io"
	"time"
)

// A Cluster runs the nodes of a store. Methods are safe for concurrent use unless
// they say otherwise. Further abilities are separate interfaces.
type Cluster interface {
	// World is "docker", or "sim" or a name that begins with "sim-".
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

// OfClients reports whether one end of the link is [Clients].
func (l Link) OfClients() bool { return l.From == Clients || l.To == Clients }

// Clients stands at one end of a [Link] for all clients of the store, wherever they run: the
// other end is a node.
const Clients NodeID = "clients"

// A Partitioner can cut links, also those from and to [Clients]. Cuts are named by the fault that made them and may
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

// A Killer can end a node's process and begin another on the same disk. The node keeps
// its address, its disk, and the network faults that are in force; a pause ends with
// the process. Calls for one node are not made concurrently.
type Killer interface {
	// Kill ends the process at once (SIGKILL) and returns when it is gone. In a simulation
	// it is the loss of power: what was not synced is lost too. Killing a dead node is no error.
	Kill(ctx context.Context, n NodeID) error
	// Terminate asks the process to end (SIGTERM) and returns when it has. One that does
	// not end by itself is an error and runs on. Terminating a dead node is no error,
	// terminating a paused one is.
	Terminate(ctx context.Context, n NodeID) error
	// Restart begins a new process on the node's disk and returns when it runs; when it
	// serves is for clients to find out. Restarting a running node is no error.
	Restart(ctx context.Context, n NodeID) error
	// Alive reports whether the node has a process, paused or not.
	Alive(ctx context.Context, n NodeID) (bool, error)
}

// A Shaper can make links bad without cutting them. Shapings are named by the fault that
// made them and may overlap: a link then behaves as [Shape.With] of all of them. Cuts and
// shapings do not know of each other.
type Shaper interface {
	// Shapes lists what the cluster can do to packets, of the Shape constants.
	Shapes() []string
	// Shape disturbs the links from now on. Shaping again for the same fault replaces what
	// that did. A shape that is not [Shape.Valid] or not among Shapes is an error, and
	// nothing happens.
	Shape(ctx context.Context, fault string, links []Link, s Shape) error
	// Unshape undoes one fault's shaping. An unknown fault is no error.
	Unshape(ctx context.Context, fault string) error
	// Shaped counts the packets that the fault has changed or held up, by link: with an
	// entry, if only of 0, for each of its links. It must be asked before Unshape; an
	// unknown fault is an error.
	Shaped(ctx context.Context, fault string) (map[Link]uint64, error)
}

// A ClockSkewer can set a node's wall clock wrong. Timers are not touched, nor is any
// other clock. The clock stays wrong over the process's end.
type ClockSkewer interface {
	// Skew sets the clock wrong from now on, instead of how it was wrong before; the zero
	// Skew sets it right. A Skew that is not Valid is an error.
	Skew(ctx context.Context, n NodeID, s Skew) error
	// Offset tells by how much the node's own idea of the time is ahead, or behind if
	// negative, of the harness's: to a tenth of a second or better.
	Offset(ctx context.Context, n NodeID) (time.Duration, error)
}

// A DiskFaulter can make a node's disk slow or failing. What was written stays.
type DiskFaulter interface {
	// DiskFaults lists what the cluster can do to disks, of the Disk constants.
	DiskFaults() []string
	// Disturb puts a fault into force instead of any other of this node. One that is not
	// Valid or not among DiskFaults is an error, and nothing happens. So is damage to files of a
	// node that has a process, or has no such files.
	Disturb(ctx context.Context, n NodeID, f DiskFault) error
	// Undisturb ends the fault; without one it is no error. A process that has given up its
	// disk may have to be restarted to use it again. A damaged file that is still as the damage
	// left it is made whole; the node has to be stopped for that.
	Undisturb(ctx context.Context, n NodeID) error
	// Disturbed counts the operations that the present fault has hit, or the files that it has
	// damaged; 0 without one.
	Disturbed(ctx context.Context, n NodeID) (uint64, error)
}

// A LogFetcher can show what a node has logged since it was created.
type LogFetcher interface {
	Logs(ctx context.Context, n NodeID, w io.Writer) error
}

// CaptureExt ends the names of files with what a [Capturer] writes.
const CaptureExt = ".pcap"

// A Capturer can show which packets a node has received and sent.
type Capturer interface {
	// Captures reports whether packets are recorded at all.
	Captures() bool
	// Capture ends the recording of a node's packets and writes what there is, in libpcap's format.
	Capture(ctx context.Context, n NodeID, w io.Writer) error
}
