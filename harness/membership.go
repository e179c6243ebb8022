package harness

import (
	"context"
	"fmt"
	"strings"
)

// A Resizer can put machines beside those that a cluster began with, and empty the disk of
// one. [Cluster.Nodes] stays as it was: who else is there, only Spares tells. A machine
// says nothing of membership; whether its node takes part in the store is for a
// [MemberChanger] to say.
type Resizer interface {
	// Add makes a machine with an empty disk and starts its node, which knows where the
	// others are and is a member of nothing. A name that is taken is an error. On an error
	// nothing stays behind.
	Add(ctx context.Context, n NodeID) error
	// Remove takes an added machine away, process, disk and all. One that is not there is no
	// error, one that the cluster began with is.
	Remove(ctx context.Context, n NodeID) error
	// Spares lists the added machines in the order of their making.
	Spares() []NodeID
	// Wipe empties the disk of a dead node: its next process begins like that of an added
	// machine, under another name (see Life). Wiping a node that lives is an error.
	Wipe(ctx context.Context, n NodeID) error
}

// A Rewinder can give a node a disk of the past, as somebody does who restores one node alone from a backup.
type Rewinder interface {
	// Keep takes an image of a node's disk, as a loss of power at this moment would leave it, in the place of the image before.
	Keep(ctx context.Context, n NodeID) error
	// Rewind puts the image in the place of the disk of a dead node. Without an image, and of a node that lives, it is an error.
	Rewind(ctx context.Context, n NodeID) error
}

// Life names the node that runs on a machine whose disk was emptied so often: n3 at first, then
// n3.2, n3.3 and so on. A store may refuse to see a former member's name again.
func Life(machine NodeID, wiped int) NodeID {
	if wiped == 0 {
		return machine
	}
	return NodeID(fmt.Sprintf("%s.%d", machine, wiped+1))
}

// Machine is where a node runs. The rest of the harness knows machines only.
func Machine(n NodeID) NodeID {
	machine, _, _ := strings.Cut(string(n), ".")
	return NodeID(machine)
}

// A MemberChanger is a target whose members change while it serves. Changes are made one
// after the other; each is asked of a node that knows of the one before. A change returns
// once a node has taken it on for good; when all nodes know and data has moved is for
// View to tell. One that is made already is no error.
type MemberChanger interface {
	// Join makes a node a member that is none.
	Join(ctx context.Context, c Cluster, n NodeID) error
	// Leave ends a node's membership in an orderly way: it hands over what it holds.
	Leave(ctx context.Context, c Cluster, n NodeID) error
	// Replace puts a node in the place of a member that is gone for good, disk and all. Both may be of one machine: the
	// member is the node that it ran before its disk was emptied.
	Replace(ctx context.Context, c Cluster, gone, by NodeID) error
	// View is what one node believes.
	View(ctx context.Context, c Cluster, n NodeID) (MemberView, error)
}

// A MemberView is a node's idea of who is a member.
type MemberView struct {
	Members []NodeID // the machines of the members, sorted
	Nodes   []NodeID // the members themselves, in the same order: see Life
	Settled bool     // the last change is complete as far as this node knows: nothing is left to be moved
}

// An Acquainted nemesis has faults that the store itself takes part in. Whoever plays it
// tells it the target, once and before Check.
type Acquainted interface {
	Meet(t Target)
}
