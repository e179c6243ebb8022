package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"strings"
	"time"

	"cartwheel/harness"
)

// Options say what a [Cluster] runs.
type Options struct {
	Run   string // name of the run, in labels and names; unique among live runs; required
	Nodes int    // default 5, at most 64
	Image string // of the store; see [StoreImage]; required
	// Command is what a node's store container runs, after the image's entry point. Members
	// are the addresses of all nodes as they reach each other, host:port. It may be called
	// for several nodes at once. Default: the image's own command.
	Command func(n harness.NodeID, members map[harness.NodeID]string) []string
	// Join is what the store container runs of a machine that was added or wiped: its node is called
	// name, is reached by the others at address, and finds the cluster at seeds. Default: there are no such machines.
	Join func(name harness.NodeID, address string, seeds []string) []string
	Port int // TCP port on which the store serves, in the pod; required
	// AdminPort is another TCP port of the store's, for the harness's own questions: it is
	// published as well, and cutting clients off leaves it alone. Default: none, so that
	// a node that is cut off from clients cannot be asked either.
	AdminPort int
	Env       []string // of the store, NAME=value
	User      string   // of the store, uid:gid; default 65532:65532
	Data      string   // where the store keeps its data, a volume; default /data

	// ClockFile is where the store, in its container, looks for a text that says how wrong
	// its clock is: "offset=1m0s drift=0.5 strobe=2s since=<Unix nanoseconds>", empty if it
	// is right. Its directory is a volume of its own. Default: the clock cannot be skewed.
	ClockFile string
	// Wall asks a node's store for the hour by its own clock. Default: it cannot be asked.
	Wall func(ctx context.Context, c harness.Cluster, n harness.NodeID) (time.Time, error)

	// Capture is a filter of tcpdump's: what every node receives and sends that matches is recorded, see
	// [Cluster.Capture]. In it nodes go by name, and clients are the host "clients". [CaptureAll] is what it says.
	// Default: nothing is recorded.
	Capture string

	HostImage string // of the host containers; default: built by [HostImage]
	Root      string // the checkout, to build the host image from; default: around the working directory

	// Bind is the address of the engine's machine on which stores are published; default
	// 127.0.0.1. A harness that itself runs in a container needs one that it can reach.
	Bind   string
	Logger *slog.Logger // default discards
}

// Limits of what a cluster does on its own behalf.
const (
	nodesMax    = 64
	callTimeout = 30 * time.Second // an engine call that must not be interrupted
	stopTimeout = 15 * time.Second // removing everything
)

func (o Options) withDefaults() Options {
	if o.Nodes == 0 {
		o.Nodes = 5
	}
	if o.User == "" {
		o.User = storeUser
	}
	if o.Data == "" {
		o.Data = "/data"
	}
	if o.Bind == "" {
		o.Bind = "127.0.0.1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if err := checkName("run", o.Run); err != nil {
		problems = append(problems, err)
	}
	if o.Nodes < 1 || o.Nodes > nodesMax {
		complain("%d nodes: want 1 to %d", o.Nodes, nodesMax)
	}
	if o.Image == "" {
		complain("no store image")
	}
	if o.Port < 1 || o.Port > 65535 {
		complain("port %d: want 1 to 65535", o.Port)
	}
	if o.AdminPort < 0 || o.AdminPort > 65535 || o.AdminPort == o.Port {
		complain("admin port %d: want 1 to 65535, and another than the port", o.AdminPort)
	}
	if !strings.HasPrefix(o.Data, "/") {
		complain("data directory %q: not an absolute path", o.Data)
	}
	if o.ClockFile != "" && (path.Dir(o.ClockFile) == "/" || !path.IsAbs(o.ClockFile)) {
		complain("clock file %q: not an absolute path in a directory of its own", o.ClockFile)
	}
	if _, err := netip.ParseAddr(o.Bind); err != nil {
		complain("bind: %w", err)
	}
	return errors.Join(problems...)
}
