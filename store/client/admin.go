package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// Words of the Admin service.
type (
	// Copy is what one node holds of a key.
	Copy = transport.Copy
	// Status is how a node is, and what it believes of its peers.
	Status = transport.Status
	// PeerStatus is what a node believes of a peer.
	PeerStatus = transport.PeerStatus
	// TreeReport describes the hash trees of a node.
	TreeReport = transport.TreeReport
	// Drain is how far the draining of a node has come.
	Drain = transport.Drain
	// HintStat counts the hints for one owner.
	HintStat = transport.HintStat
)

// An Admin asks one node what it holds and believes. Its answers are that node's own;
// nothing is asked of others.
type Admin struct {
	conn    grpc.ClientConnInterface
	timeout time.Duration
	close   func() error
}

// DialAdmin returns an Admin of the node at host:port. It does not wait for a connection.
func DialAdmin(address string, o Options) (*Admin, error) {
	conn, err := transport.Dial(address, o.DialOptions...)
	if err != nil {
		return nil, err
	}
	return &Admin{conn: conn, timeout: o.withDefaults().Timeout, close: conn.Close}, nil
}

// NewAdmin returns an Admin that uses a connection of the caller's.
func NewAdmin(conn grpc.ClientConnInterface) *Admin {
	return &Admin{conn: conn, timeout: Options{}.withDefaults().Timeout, close: func() error { return nil }}
}

// Close closes the connection that DialAdmin made.
func (a *Admin) Close() error { return a.close() }

// ReadReplica returns the node's own record of a key, and for whom it holds hints of it.
func (a *Admin) ReadReplica(ctx context.Context, key store.Key) (Copy, error) {
	var c Copy
	err := a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.ReadReplica(ctx, &storepb.ReadReplicaRequest{Key: []byte(key)})
		if err != nil {
			return err
		}
		c, err = transport.CopyOf(reply)
		return err
	})
	if err != nil {
		return Copy{}, &Error{Op: "read replica", Key: key, Err: err, definite: true}
	}
	return c, nil
}

// HintStats counts the hints that wait on the node, by the owner they wait for.
func (a *Admin) HintStats(ctx context.Context) ([]HintStat, error) {
	var stats []HintStat
	err := a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.HintStats(ctx, &storepb.HintStatsRequest{})
		stats = transport.HintStatsOf(reply)
		return err
	})
	if err != nil {
		return nil, &Error{Op: "hint stats", Err: err, definite: true}
	}
	return stats, nil
}

// Trees describes the node's hash trees. With check they are compared with its records first, which
// reads all that the node holds: give it a timeout to match.
func (a *Admin) Trees(ctx context.Context, check bool) (TreeReport, error) {
	var report TreeReport
	err := a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Trees(ctx, &storepb.TreesRequest{Check: check})
		if err != nil {
			return err
		}
		report, err = transport.TreeReportOf(reply)
		return err
	})
	if err != nil {
		return TreeReport{}, &Error{Op: "trees", Err: err, definite: true}
	}
	return report, nil
}

// Status says how the node is.
func (a *Admin) Status(ctx context.Context) (Status, error) {
	var st Status
	err := a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Status(ctx, &storepb.StatusRequest{})
		st = transport.StatusOf(reply)
		return err
	})
	if err != nil {
		return Status{}, &Error{Op: "status", Err: err, definite: true}
	}
	return st, nil
}

// Drain makes the node refuse to coordinate requests, while it goes on as a replica; undo takes that back. It does not wait for
// those under way: it may be asked again to see how many there are.
func (a *Admin) Drain(ctx context.Context, undo bool) (d Drain, err error) {
	err = a.call(ctx, func(ctx context.Context, c storepb.AdminClient) error {
		reply, err := c.Drain(ctx, &storepb.DrainRequest{Undo: undo})
		d = transport.DrainOf(reply)
		return err
	})
	if err != nil {
		return Drain{}, &Error{Op: "drain", Err: err, definite: store.Definite(err)}
	}
	return d, nil
}

// Ring returns the layout as the node computes it.
func (a *Admin) Ring(ctx context.Context) (Layout, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	reply, err := storepb.NewKVClient(a.conn).Ring(ctx, &storepb.RingRequest{})
	if err != nil {
		return Layout{}, &Error{Op: "ring", Err: transport.Decode(err), definite: true}
	}
	return layoutOf(reply), nil
}

func (a *Admin) call(ctx context.Context, f func(context.Context, storepb.AdminClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return transport.Decode(f(ctx, storepb.NewAdminClient(a.conn)))
}

// IsUnreachable reports whether a call failed because nothing answered, as opposed to an
// answer that is an error.
func IsUnreachable(err error) bool {
	return errors.Is(err, store.ErrDown) || errors.Is(err, context.DeadlineExceeded)
}
