package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker/pcap"
)

// Packets are recorded by tcpdump in a container of its own, which shares the pod's network: so it goes on whatever
// happens to the store. It sees what comes in before the packet filter does, and what goes out after it. Its files
// are a ring in a volume, which goes with the run like everything that carries its labels.

// CaptureAll asks for the packets between nodes, and those of clients of the store's port.
const CaptureAll = "all"

// ErrFilter marks a filter that tcpdump does not understand.
var ErrFilter = errors.New("tcpdump does not take this filter")

const (
	captureDir    = "/capture"
	captureFiles  = 8                // of the ring: the oldest is overwritten
	captureFileMB = 8                // each, in millions of bytes
	captureBuffer = 4096             // KiB that the kernel keeps for tcpdump
	captureLimit  = 10 * time.Second // for tcpdump to begin
	captureLag    = time.Second      // after which tcpdump asks the kernel for what it has
	captureBegun  = "listening on"   // what it says then
	clientsHost   = "clients"        // the gateway's name in a filter
)

// captureFilter is the filter that the options ask for, in tcpdump's words.
func (p *plan) captureFilter() string {
	if p.opts.Capture != CaptureAll {
		return p.opts.Capture
	}
	d := p.door()
	return fmt.Sprintf("net %s and (not host %s or tcp port %d)", p.within, d.gateway, d.port)
}

// captureHosts are the names that a filter may use for addresses, as lines of a hosts file.
func (p *plan) captureHosts() []string {
	if p.opts.Capture == "" {
		return nil
	}
	hosts := []string{clientsHost + ":" + p.door().gateway.String()}
	for _, m := range p.peers {
		hosts = append(hosts, string(m.node)+":"+m.address.String())
	}
	return hosts
}

// startCapture adds a recorder to a pod, if packets are to be recorded, and returns once it records.
func (p *plan) startCapture(ctx context.Context, self peer, made *pod) (err error) {
	if p.opts.Capture == "" {
		return nil
	}
	made.capture, err = p.startAside(ctx, self.node, "capture", recipe{
		config: &container.Config{
			Image: p.hostImage, User: "0:0", Entrypoint: []string{},
			// Whole packets, each written as it comes; no name is looked up, no user taken on, nobody else's packets.
			Cmd: []string{
				"tcpdump", "-i", "eth0", "-n", "-p", "-Z", "root", "-U", "-s", "0", "-B", strconv.Itoa(captureBuffer),
				"-C", strconv.Itoa(captureFileMB), "-W", strconv.Itoa(captureFiles), "-w", captureDir + "/ring", "--", p.captureFilter(),
			},
		},
		host: &container.HostConfig{
			NetworkMode:    container.NetworkMode("container:" + made.host),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"}, CapAdd: []string{"NET_RAW", "SETGID"}, // the second to stay root, which tcpdump does in form
			SecurityOpt: []string{"no-new-privileges"},
			Mounts: []mount.Mount{{
				Type: mount.TypeVolume, Source: p.name(self, "capture"), Target: captureDir,
				VolumeOptions: &mount.VolumeOptions{Labels: p.volumeLabels(self)},
			}},
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}},
		},
	})
	if err == nil {
		err = p.captures(ctx, made.capture, 1)
	}
	return wrap(err, "record packets")
}

// captures waits until a recorder has said as many times as it was started that it records.
func (p *plan) captures(ctx context.Context, id string, lives int) error {
	for begun := time.Now(); ; {
		said, err := logsOf(ctx, p.cli, id)
		if err != nil || strings.Count(said, captureBegun) >= lives {
			return err
		}
		state, err := p.cli.ContainerInspect(ctx, id)
		switch {
		case err != nil:
			return fmt.Errorf("inspect: %w", err)
		case !state.State.Running:
			return fmt.Errorf("tcpdump ended with status %d: %s", state.State.ExitCode, strings.TrimSpace(said))
		case time.Since(begun) > captureLimit:
			return fmt.Errorf("tcpdump has not begun after %s: %s", captureLimit, strings.TrimSpace(said))
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// recapture has a recorder go on in the new network of a host container that had ended. Its ring begins anew: of
// what was before, that stays which it does not overwrite.
func (p *plan) recapture(ctx context.Context, made *pod) error {
	if made.capture == "" {
		return nil
	}
	said, err := logsOf(ctx, p.cli, made.capture)
	if err == nil {
		err = uninterrupted(ctx, func(ctx context.Context) error {
			return p.cli.ContainerRestart(ctx, made.capture, container.StopOptions{})
		})
	}
	if err == nil {
		err = p.captures(ctx, made.capture, strings.Count(said, captureBegun)+1)
	}
	return wrap(err, "record packets again")
}

// Captures reports whether packets are recorded.
func (c *Cluster) Captures() bool { return c.opts.Capture != "" }

// Capture ends the recording of a node's packets and writes what there is: the newest 56 to 64 MB.
func (c *Cluster) Capture(ctx context.Context, n harness.NodeID, w io.Writer) error {
	r, p, err := c.pod(n)
	if err == nil && p.capture == "" {
		err = errors.New("its packets are not recorded: see Options.Capture")
	}
	if err != nil {
		return fmt.Errorf("packets of %s: %w", n, err)
	}
	if err := pause(ctx, captureLag+captureLag/10); err != nil {
		return fmt.Errorf("packets of %s: %w", n, err)
	}
	// At its end it writes what it has, and tells what it missed. A container that does not run can be copied from, too.
	if err := r.cli.ContainerStop(ctx, p.capture, container.StopOptions{}); err != nil {
		return fmt.Errorf("packets of %s: %w", n, err)
	}
	parts, err := r.ring(ctx, p.capture)
	if err != nil {
		return fmt.Errorf("packets of %s: %w", n, err)
	}
	packets, err := pcap.Join(w, parts)
	if err != nil {
		return fmt.Errorf("packets of %s: %w", n, err)
	}
	said, err := logsOf(ctx, r.cli, p.capture)
	if missed := missedBy(said); missed > 0 {
		c.opts.Logger.Warn("tcpdump was too slow for some packets", "node", n, "missed", missed, "kept", packets)
	}
	return wrap(err, "packets of %s: logs of tcpdump", n)
}

// ring returns the files of a recorder.
func (r *running) ring(ctx context.Context, id string) (parts [][]byte, err error) {
	archive, _, err := r.cli.CopyFromContainer(ctx, id, captureDir)
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	for files := tar.NewReader(archive); ; {
		head, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return parts, nil
		case err != nil:
			return nil, fmt.Errorf("copy: %w", err)
		case head.Typeflag != tar.TypeReg:
			continue
		}
		part, err := io.ReadAll(io.LimitReader(files, 2*captureFileMB*1_000_000))
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", head.Name, err)
		}
		parts = append(parts, part)
	}
}

// missedBy is how many packets tcpdump says that the kernel did not keep for it.
func missedBy(said string) (missed int) {
	for line := range strings.Lines(said) {
		if count, is := strings.CutSuffix(strings.TrimSpace(line), " packets dropped by kernel"); is {
			n, err := strconv.Atoi(count)
			if err == nil {
				missed += n
			}
		}
	}
	return missed
}

// CheckCapture asks the tcpdump of a host image whether it takes a filter for [Options.Capture], in which nodes
// have names. If not the error is [ErrFilter], with what tcpdump says.
func CheckCapture(ctx context.Context, image, filter string, nodes []harness.NodeID) error {
	if filter == "" || filter == CaptureAll {
		return nil
	}
	cli, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("check filter: %w", err)
	}
	defer func() { _ = cli.Close() }()
	err = scratch(ctx, cli, image, "filter", func(p *plan) error {
		p.opts.Capture = filter
		for i, n := range nodes {
			p.peers = append(p.peers, peer{node: n, address: hostAddress(p.within, i)})
		}
		id, err := p.startIdle(ctx)
		if err == nil {
			_, err = execute(ctx, cli, id, "", "tcpdump", "-d", "--", filter)
		}
		return err
	})
	var refused *execError
	if errors.As(err, &refused) {
		said := slices.DeleteFunc(strings.Split(strings.TrimSpace(refused.Stderr), "\n"), func(line string) bool { return strings.HasPrefix(line, "Warning") })
		return fmt.Errorf("%w: %q: %s", ErrFilter, filter, strings.Join(said, "; "))
	}
	return wrap(err, "check filter")
}
