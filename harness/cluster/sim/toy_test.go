package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/store"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A toy is the least that a node can be: it pings its peers and stores bytes. It keeps
// the rules of a store that runs here (docs/ARCHITECTURE.md, simulation).
type toy struct {
	storepb.UnimplementedPeerServer
	seams Seams
	kv    storage.KV
	ctx   context.Context
	stop  context.CancelFunc
	work  sync.WaitGroup
}

func openToy(s Seams) (Process, error) {
	kv, err := storage.OpenPebble(storage.PebbleOptions{FS: s.FS, Dir: s.Dir})
	if err != nil {
		return nil, err
	}
	n := &toy{seams: s, kv: s.Disk(kv)}
	n.ctx, n.stop = context.WithCancel(context.Background())
	s.Logger.Info("opened", "members", len(s.Members), "clock", s.Clock.Now())
	for _, m := range s.Members {
		if m.ID != s.ID {
			n.work.Go(func() { n.ping(m.ID) })
		}
	}
	return n, nil
}

func (n *toy) ping(to store.NodeID) {
	peer := storepb.NewPeerClient(n.seams.Peers(store.Member{ID: to, Address: fmt.Sprintf("%s:%d", to, Port)}))
	for round := uint64(0); ; round++ {
		pause := fate.Between(50*time.Millisecond, 150*time.Millisecond, n.seams.Rand(fate.String(string(to)), round))
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(n.ctx, 100*time.Millisecond)
		_, err := peer.Ping(ctx, &storepb.PingRequest{From: string(n.seams.ID)})
		cancel()
		n.seams.Logger.Debug("pinged", "peer", to, "err", err)
	}
}

func (n *toy) Ping(_ context.Context, r *storepb.PingRequest) (*storepb.PingReply, error) {
	return &storepb.PingReply{Id: string(n.seams.ID)}, nil
}

// ReplicaMerge stores the state, unsynced if it is a hint.
func (n *toy) ReplicaMerge(_ context.Context, r *storepb.ReplicaMergeRequest) (*storepb.ReplicaMergeReply, error) {
	var b storage.Batch
	b.Set(r.GetKey(), r.GetState())
	return &storepb.ReplicaMergeReply{}, n.kv.Apply(&b, r.GetHintFor() == "")
}

func (n *toy) ReplicaGet(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	v, _, err := n.kv.Get(r.GetKey())
	return &storepb.ReplicaGetReply{State: v}, err
}

func (n *toy) Register(r grpc.ServiceRegistrar) { storepb.RegisterPeerServer(r, n) }

func (n *toy) Close() error {
	n.stop()
	n.work.Wait()
	return n.kv.Close()
}

// peer connects as client c to a node of the cluster.
func peer(c *Cluster, client int, n harness.NodeID) (storepb.PeerClient, error) {
	conn, err := c.Conn(client, n)
	if err != nil {
		return nil, err
	}
	return storepb.NewPeerClient(conn), nil
}

// put and get are a client's calls with a timeout.
func put(c *Cluster, n harness.NodeID, key, value string, sync bool) error {
	p, err := peer(c, 0, n)
	if err != nil {
		return err
	}
	r := &storepb.ReplicaMergeRequest{Key: []byte(key), State: []byte(value)}
	if !sync {
		r.HintFor = "later"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = p.ReplicaMerge(ctx, r)
	return err
}

func get(c *Cluster, n harness.NodeID, key string) (string, error) {
	p, err := peer(c, 0, n)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := p.ReplicaGet(ctx, &storepb.ReplicaGetRequest{Key: []byte(key)})
	if err != nil {
		return "", fmt.Errorf("get %s from %s: %w", key, n, err)
	}
	return string(r.GetState()), nil
}
