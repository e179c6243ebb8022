package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"cartwheel/store/transport"
)

const (
	etcdStart   = 30 * time.Second // until a new cluster has taken its first write
	etcdTimeout = 5 * time.Second  // of a call, as our own client's default
	etcdQuota   = 8 << 30          // bytes of values that etcd keeps, since it keeps old ones, too; its own default is 2 GiB
	logTail     = 2048             // bytes of each member's log that an error shows
)

// Etcd is a cluster of etcd on loopback: another replicated store, to measure ours beside it.
type Etcd struct {
	members Cluster
	kill    context.CancelFunc
}

// StartEtcd runs members of the binary, with data and logs below dir, and returns when each has taken a write. It waits
// etcdStart at most, and an error ends with what the members logged. The caller closes it.
func StartEtcd(ctx context.Context, binary, dir string, nodes int) (*Etcd, error) {
	ctx, kill := context.WithCancel(ctx)
	e := &Etcd{members: Cluster{daemons: make([]*exec.Cmd, nodes), env: etcdEnvironment()}, kill: kill}
	var peers, cluster []string
	for i := range nodes {
		own, err := freeAddress()
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		peer, err := freeAddress()
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.members.Addresses = append(e.members.Addresses, own)
		peers = append(peers, "http://"+peer)
		cluster = append(cluster, fmt.Sprintf("e%d=http://%s", i+1, peer))
	}
	for i, address := range e.members.Addresses {
		name := fmt.Sprintf("e%d", i+1)
		own := filepath.Join(dir, name)
		e.members.dirs = append(e.members.dirs, own)
		e.members.args = append(e.members.args, []string{
			binary, "--name", name, "--data-dir", filepath.Join(own, "data"),
			"--listen-client-urls", "http://" + address, "--advertise-client-urls", "http://" + address,
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", "new",
			"--logger", "zap", "--log-level", "warn", "--quota-backend-bytes", fmt.Sprint(etcdQuota),
		})
		if err := e.members.start(ctx, i); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	if err := e.ready(ctx); err != nil {
		return nil, errors.Join(err, e.Close(), e.logs())
	}
	return e, nil
}

// etcdEnvironment is this process's without settings for etcd, which it refuses beside flags. It runs on some processors,
// like those of ARM, only if it is told that this is known.
func etcdEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD_") })
	return append(env, "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
}

// ready waits until a write succeeds by way of each member: it has joined and knows a leader.
func (e *Etcd) ready(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdStart)
	defer cancel()
	r, err := DialEtcd(e, 1, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for i, address := range e.members.Addresses {
		for {
			err := r.put(ctx, 0, i, "ready", []byte("x"))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("etcd on %s takes no write within %v: %w", address, etcdStart, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// logs is an error with the end of what each member logged.
func (e *Etcd) logs() (err error) {
	for _, dir := range e.members.dirs {
		name := filepath.Join(dir, "log")
		text, readErr := os.ReadFile(name)
		if readErr != nil {
			err = errors.Join(err, readErr)
			continue
		}
		text = bytes.TrimSpace(text[max(0, len(text)-logTail):])
		err = errors.Join(err, fmt.Errorf("%s ends:\n%s", name, text))
	}
	return err
}

// CPU is the processor time that all members have used.
func (e *Etcd) CPU() (time.Duration, error) { return e.members.CPU() }

// Close kills the members, whose data nobody needs, so that a member that does not react cannot hold it up.
func (e *Etcd) Close() (err error) {
	e.kill()
	for i, d := range e.members.daemons {
		if d == nil {
			continue
		}
		e.members.daemons[i] = nil
		// Each ends by the kill or has ended before, of which its log tells.
		var exit *exec.ExitError
		if waitErr := d.Wait(); waitErr != nil && !errors.As(waitErr, &exit) && !errors.Is(waitErr, context.Canceled) {
			err = errors.Join(err, waitErr)
		}
	}
	return err
}

// EtcdRequests are those of some clients to etcd, for the same keys and values as Requests. As there, each client has
// connections of its own, one to each member, dialled with the same options. It takes the members by turns, as etcd's own
// client does: those that do not lead forward its puts.
type EtcdRequests struct {
	conns [][]*grpc.ClientConn // of each client: to each member
	value []byte
}

// DialEtcd makes the connections.
func DialEtcd(e *Etcd, clients, valueSizeBytes int) (*EtcdRequests, error) {
	r := &EtcdRequests{conns: make([][]*grpc.ClientConn, clients), value: make([]byte, valueSizeBytes)}
	for c := range r.conns {
		for _, address := range e.members.Addresses {
			conn, err := transport.Dial(address, grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			r.conns[c] = append(r.conns[c], conn)
		}
	}
	return r, nil
}

// Put writes a key of the client's.
func (r *EtcdRequests) Put(ctx context.Context, client, n int) error {
	return r.put(ctx, client, n, benchKey(len(r.value), client, n), r.value)
}

func (r *EtcdRequests) put(ctx context.Context, client, n int, key string, value []byte) error {
	_, err := r.call(ctx, client, n, "/etcdserverpb.KV/Put", etcdPut(key, value))
	return err
}

// Get reads a key that some client has written, linearizably. A key without its value is an error.
func (r *EtcdRequests) Get(ctx context.Context, client, n int) error {
	key := benchKey(len(r.value), (client+n)%len(r.conns), n)
	reply, err := r.call(ctx, client, n, "/etcdserverpb.KV/Range", etcdRange(key))
	if err != nil {
		return err
	}
	values, err := etcdValues(reply)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if len(values) != 1 || len(values[0]) != len(r.value) {
		return fmt.Errorf("%s: got %d values, want one of %d bytes", key, len(values), len(r.value))
	}
	return nil
}

// call makes a client's n-th request.
func (r *EtcdRequests) call(ctx context.Context, client, n int, method string, request []byte) (reply []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	conns := r.conns[client]
	err = conns[(client+n)%len(conns)].Invoke(ctx, method, request, &reply)
	return reply, err
}

// Fill writes every key once.
func (r *EtcdRequests) Fill(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for c := range r.conns {
		g.Go(func() error {
			for n := range keysPerClient {
				if err := r.Put(ctx, c, n); err != nil {
					return fmt.Errorf("fill etcd: %w", err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Close closes the connections.
func (r *EtcdRequests) Close() (err error) {
	for _, c := range slices.Concat(r.conns...) {
		err = errors.Join(err, c.Close())
	}
	return err
}
