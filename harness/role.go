package harness

import "context"

// Roles that nodes can have, as names of a [Role].
const (
	Coordinator    = "coordinator"     // the first node of the key's preference list
	PreferenceList = "preference-list" // all nodes that should hold the key
	Replicas       = "replicas"        // some of those: Role.Count of them, the last ones
	HintHolder     = "hint-holder"     // the node that holds most hints for others
)

// A Role names nodes by what they are to the store at the moment when a fault strikes.
type Role struct {
	Name  string `json:"name"`            // one of the constants above
	Key   string `json:"key,omitempty"`   // of all but hint holders; default: that of the operation that began last
	Count int    `json:"count,omitempty"` // of replicas: how many; default 1
}

// A RoleFinder is a target that knows who has which role.
type RoleFinder interface {
	// Find names the nodes that have a role now, sorted. None is no error: nobody may have
	// it at the time. A role that the target does not know is one.
	Find(ctx context.Context, c Cluster, r Role) ([]NodeID, error)
}
