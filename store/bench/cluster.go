package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"cartwheel/store/transport"
)

// tick is the unit in which Linux accounts processor time to processes (USER_HZ).
const tick = 10 * time.Millisecond

// A Cluster is some daemons on loopback.
type Cluster struct {
	Addresses []string
	args      [][]string // of each node: the command line
	dirs      []string
	daemons   []*exec.Cmd
	env       []string // of the daemons, beside GOMAXPROCS
}

// StartCluster runs a daemon of the binary for each node, with its data and log below dir and with further flags, and
// returns when all serve. The caller closes it.
func StartCluster(ctx context.Context, binary, dir string, nodes int, flags ...string) (*Cluster, error) {
	c := &Cluster{daemons: make([]*exec.Cmd, nodes), env: os.Environ()}
	var members []string
	for i := range nodes {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		c.Addresses = append(c.Addresses, address)
		members = append(members, fmt.Sprintf("n%d=%s", i+1, address))
	}
	for i, address := range c.Addresses {
		own := filepath.Join(dir, fmt.Sprintf("n%d", i+1))
		c.dirs = append(c.dirs, own)
		c.args = append(c.args, append([]string{
			binary, "--id", fmt.Sprintf("n%d", i+1), "--listen", address, "--members", strings.Join(members, ","),
			"--durability", "one", "--log-level", "warn", "--data", filepath.Join(own, "data"),
		}, flags...))
		if err := c.start(ctx, i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for _, address := range c.Addresses {
		if err := serving(ctx, address); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// start runs the daemon of a node, counted from 0, on what it has on disk.
func (c *Cluster) start(ctx context.Context, node int) (err error) {
	if err := os.MkdirAll(c.dirs[node], 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(c.dirs[node], "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the daemon has its own handle
	cmd := exec.CommandContext(ctx, c.args[node][0], c.args[node][1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(slices.Clone(c.env), "GOMAXPROCS="+strconv.Itoa(c.processors()))
	if err := cmd.Start(); err != nil {
		return err
	}
	c.daemons[node] = cmd
	return nil
}

// processors is how many each daemon may use: its share of the machine, as nodes that have their own would not wake threads on
// each other's.
func (c *Cluster) processors() int {
	return max(1, runtime.NumCPU()/len(c.daemons))
}

// Stop ends the daemon of a node, counted from 0.
func (c *Cluster) Stop(node int) error {
	d := c.daemons[node]
	c.daemons[node] = nil
	return errors.Join(d.Process.Signal(syscall.SIGTERM), d.Wait())
}

// Start runs a node again that was stopped, and returns when it serves.
func (c *Cluster) Start(ctx context.Context, node int) error {
	if err := c.start(ctx, node); err != nil {
		return err
	}
	return serving(ctx, c.Addresses[node])
}

// serving waits until a daemon says that it serves, at most a minute.
func serving(ctx context.Context, address string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := transport.Dial(address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for {
		reply, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil && reply.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// CPU is the processor time that all daemons have used.
func (c *Cluster) CPU() (sum time.Duration, err error) {
	for _, d := range c.daemons {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.Process.Pid))
		if err != nil {
			return 0, fmt.Errorf("processor time of a daemon: %w", err)
		}
		used, err := processorTime(stat)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// processorTime reads utime and stime of proc_pid_stat(5). The program's name, the second
// field, may hold anything, so fields are counted from the bracket that ends it.
func processorTime(stat []byte) (sum time.Duration, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("a process's stat has %d fields after its name, want 13 or more", len(fields))
	}
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// Close ends the daemons.
func (c *Cluster) Close() (err error) {
	running := slices.DeleteFunc(slices.Clone(c.daemons), func(d *exec.Cmd) bool { return d == nil })
	for _, d := range running {
		err = errors.Join(err, d.Process.Signal(syscall.SIGTERM))
	}
	for _, d := range running {
		err = errors.Join(err, d.Wait())
	}
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
