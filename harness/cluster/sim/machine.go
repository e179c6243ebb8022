package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/disk"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
	"cartwheel/store"
)

// dataDir is where a node's files are, on its own disk.
const dataDir = "cartwheel"

// A machine is what a node runs on: its disk, its clock and its log outlive its processes. Starting
// and stopping is done under the cluster's lock.
type machine struct {
	cluster *Cluster
	net     *wire.Net
	id      harness.NodeID
	spare   bool // it was added to those that the cluster began with
	wiped   int  // how often its disk was emptied
	disk    *disk.Disk
	clock   *wallClock
	log     *logBook
	starts  uint64
	image   *vfs.MemFS // of the disk as it was; nil: none was kept

	mu   sync.Mutex // held for moments only
	life *life      // nil: dead
}

// A life is one process of a node.
type life struct {
	proc    *wire.Proc
	plug    plug    // into the network
	process Process // nil while it opens
}

func newMachine(c *Cluster, id harness.NodeID) *machine {
	return &machine{
		cluster: c, net: c.net, id: id,
		disk:  c.emptyDisk(string(id)),
		clock: new(wallClock),
		log:   &logBook{bytesMax: c.opts.LogBytesMax},
	}
}

func (c *Cluster) emptyDisk(name string) *disk.Disk {
	o := c.opts.Disk
	o.Seed, o.Name = fate.Hash(c.opts.Seed, 'd'), name
	return disk.New(o)
}

// start begins a life.
func (v *machine) start(ctx context.Context) error {
	if v.alive() != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	v.starts++
	l := &life{proc: v.net.Start(v.id)}
	l.plug = v.cluster.plugOf(v.id, l.proc)
	seams, err := v.seams(l.plug)
	if err == nil {
		l.process, err = v.cluster.opts.Open(seams)
	}
	if err != nil {
		l.plug.close()
		return fmt.Errorf("open: %w", err)
	}
	if err := l.plug.listen(l.process.Register); err != nil {
		return errors.Join(err, l.close())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.life = l
	v.cluster.note(trace.Start, v.id, "")
	return nil
}

// seams are this life's.
func (v *machine) seams(p plug) (Seams, error) {
	mount := v.disk.Mount()
	life := fate.Hash(v.cluster.opts.Seed, 'r', fate.String(string(v.id)), v.starts)
	s := Seams{
		ID:      store.NodeID(harness.Life(v.id, v.wiped)),
		Address: v.cluster.Address(v.id),
		Dir:     dataDir,
		FS:      mount.FS(),
		Disk:    mount.Wrap,
		Clock:   v.clock,
		Now:     func() time.Duration { return time.Since(v.cluster.begin) },
		Rand:    func(names ...uint64) uint64 { return fate.Hash(life, fate.Hash(names...)) },
		Logger:  slog.New(slog.NewTextHandler(v.log, &slog.HandlerOptions{Level: v.cluster.opts.LogLevel})),
	}
	for _, id := range v.cluster.ids {
		m := store.Member{ID: store.NodeID(id), Address: v.cluster.Address(id)}
		switch {
		case !v.spare && v.wiped == 0:
			s.Members = append(s.Members, m)
		case id != v.id:
			s.Seeds = append(s.Seeds, m)
		}
	}
	s.Peers = func(to store.Member) grpc.ClientConnInterface {
		id, port, _ := strings.Cut(to.Address, ":")
		if port != fmt.Sprint(Port) {
			return nil
		}
		conn, err := p.peer(harness.NodeID(id))
		if err != nil {
			s.Logger.Warn("no connection to a node", "peer", id, "err", err)
			return nil
		}
		return conn
	}
	return s, nil
}

// alive returns the present life, or nil.
func (v *machine) alive() *life {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.life
}

// end takes the present life away.
func (v *machine) end() *life {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.life
	v.life = nil
	return l
}

// stop ends the life in an orderly way: nothing that was written is lost.
func (v *machine) stop() error {
	l := v.end()
	if l == nil {
		return nil
	}
	v.cluster.note(trace.End, v.id, "")
	return l.close()
}

// kill ends the life at this instant, power and all. What is left of the process is
// closed in the background: it can no longer be seen.
func (v *machine) kill() {
	l := v.end()
	if l == nil {
		return
	}
	l.proc.Kill()
	v.disk.Crash()
	v.cluster.note(trace.Kill, v.id, "")
	v.cluster.dying.Go(func() {
		if err := l.close(); err != nil {
			v.log.note(fmt.Sprintf("the killed process ended with: %v", err))
		}
	})
}

// close joins the handlers first, so that nobody uses the process while it closes.
func (l *life) close() error {
	l.plug.close()
	return l.process.Close()
}
