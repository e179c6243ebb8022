package docker

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"cartwheel/harness"
)

//go:embed rules.sh
var rulesScript string

// A pod is one node: its containers' ids and where it is reached.
type pod struct {
	host    string
	shell   *shell       // in the host container
	storeID atomic.Value // string; another container after a wipe
	capture string       // the container that records packets; none if they are not recorded
	shaper  *dialogue    // with what shapes its packets; nil until the first is shaped; guarded by the cluster's rules
	address netip.Addr
	ports   atomic.Pointer[published]
	busy    chan struct{} // holds one token while the store is frozen, thawed, ended, started or wiped
	stopped atomic.Bool   // frozen by SIGSTOP, where the engine cannot pause
	wiped   int           // how often the store's volume was made anew; guarded by busy

	// Of the store's disk; guarded by busy.
	fault   harness.DiskFault // in force, also in the store's next lives
	tracer  string            // that makes it so; none while there is no fault, or no life
	hit     uint64            // calls hit by tracers of this fault that are gone, or files damaged by it
	surgeon string            // that has damaged a file and can make it whole; none otherwise
}

// published is where a pod's store is reached from outside.
type published struct {
	clients string
	admin   string // by the harness's own questions; empty: where clients do
}

func (p *pod) store() string { return p.storeID.Load().(string) }

// A plan is what all pods of a run have in common.
type plan struct {
	cli       *client.Client
	opts      Options
	labels    map[string]string
	hostImage string
	network   string
	within    netip.Prefix // addresses of the network
	peers     []peer       // that the cluster begins with
}

// reached are the addresses at which peers reach each other.
func (p *plan) reached() map[harness.NodeID]string {
	members := map[harness.NodeID]string{}
	for _, m := range p.peers {
		members[m.node] = p.reach(m)
	}
	return members
}

func (p *plan) reach(m peer) string {
	return net.JoinHostPort(m.address.String(), strconv.Itoa(p.opts.Port))
}

// startAll starts all pods at once and returns them with the packet filter that works.
func (p *plan) startAll(ctx context.Context) (map[harness.NodeID]*pod, string, error) {
	members := p.reached()
	var mu sync.Mutex
	pods, backends := map[harness.NodeID]*pod{}, map[string]bool{}
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(16)
	for _, self := range p.peers {
		eg.Go(func() error {
			pod, backend, err := p.start(ctx, self, p.command(self.node, maps.Clone(members)))
			if err != nil {
				return fmt.Errorf("node %s: %w", self.node, err)
			}
			mu.Lock()
			defer mu.Unlock()
			pods[self.node], backends[backend] = pod, true
			return nil
		})
	}
	if err := eg.Wait(); err != nil {
		hangUp(pods)
		return nil, "", err
	}
	// One kernel gives all pods the same answer. If not, one of them met a passing failure,
	// and rules of two kinds in one cluster are not worth having.
	if len(backends) != 1 {
		hangUp(pods)
		return nil, "", errors.New("pods found different packet filters to work")
	}
	for backend := range backends {
		return pods, backend, nil
	}
	return nil, "", errors.New("no nodes")
}

// hangUp ends what is said to the pods' containers. The caller holds the cluster's rules, or nobody knows of the pods.
func hangUp(pods map[harness.NodeID]*pod) {
	for _, p := range pods {
		p.hangUp()
	}
}

func (p *pod) hangUp() {
	p.shell.close()
	if p.shaper != nil {
		p.shaper.close()
	}
}

// start makes one pod. The store's container is made while the host's starts, and started
// only when the rules are in place.
func (p *plan) start(ctx context.Context, self peer, command []string) (made *pod, backend string, err error) {
	made = &pod{address: self.address, busy: make(chan struct{}, 1)}
	if made.host, err = p.create(ctx, self, "host", p.hostConfig(self)); err != nil {
		return nil, "", err
	}
	inside := newShell(p.cli, made.host)
	made.shell = inside
	defer func() {
		if err != nil {
			inside.close()
		}
	}()
	eg, both := errgroup.WithContext(ctx)
	eg.Go(func() error {
		id, err := p.create(both, self, "store", p.storeConfig(self, made.host, command))
		made.storeID.Store(id)
		return err
	})
	eg.Go(func() (err error) {
		if err = p.run(both, made.host); err != nil {
			return fmt.Errorf("host container: %w", err)
		}
		if err := p.locate(both, made); err != nil {
			return err
		}
		var others []peer
		for _, o := range p.peers {
			if o.node != self.node {
				others = append(others, o)
			}
		}
		rules := render(others, nil) + renderOut(others) + renderClients(p.door(), nil, nil)
		if backend, err = made.install(both, rules); err != nil {
			return err
		}
		return p.startCapture(both, self, made)
	})
	if err := eg.Wait(); err != nil {
		return nil, "", err
	}
	if err := p.run(ctx, made.store()); err != nil {
		return nil, "", fmt.Errorf("store container: %w", err)
	}
	return made, backend, p.attend(ctx, made)
}

// install gives the pod its chains, with rules in them, and returns the packet filter that works.
func (p *pod) install(ctx context.Context, rules string) (backend string, err error) {
	out, err := p.shell.run(ctx, rules, "bash", "-c", rulesScript, "rules.sh", "install")
	return strings.TrimSpace(out), err
}

// attendLimit bounds how long a store may start up without a word of ours. One that takes longer
// is not at fault; those who use it wait on.
const attendLimit = 5 * time.Second

// listenScript ends as soon as somebody listens at a port, or soon after attendLimit. It waits without a process of its
// own: to begin one costs a busy machine more than the look.
const listenScript = `printf -v port %04X "$1"
exec 9<> <(:) # a pipe to which nobody writes
for ((i = 0; i < 125; i++)); do
	grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F:]+ 0A" /proc/net/tcp /proc/net/tcp6 && exit
	read -rt 0.04 -u 9
done`

// attend waits until a store that was started listens, or has ended, and then says why.
func (p *plan) attend(ctx context.Context, made *pod) error {
	brief, enough := context.WithTimeout(ctx, attendLimit)
	defer enough()
	ended, broken := p.cli.ContainerWait(brief, made.store(), container.WaitConditionNotRunning)
	listens, asked := context.WithCancel(brief)
	var asking sync.WaitGroup
	asking.Go(func() {
		defer asked()
		// Whatever it says, the store's own state counts.
		_, _ = execute(brief, p.cli, made.host, "", "bash", "-c", listenScript, "listen", strconv.Itoa(p.opts.Port))
	})
	select {
	case <-ended:
	case err := <-broken:
		p.opts.Logger.Debug("waiting for the store's end ended", "err", err)
	case <-listens.Done():
	}
	enough()
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return stillRuns(ctx, p.cli, made.store())
}

// A recipe is what the engine wants to know about a container.
type recipe struct {
	config *container.Config
	host   *container.HostConfig
	net    *network.NetworkingConfig
}

// exposed are the ports that are published, as the engine writes them: that of clients, and that of the
// harness's own questions if there is one.
func (p *plan) exposed() (ports nat.PortSet, bindings nat.PortMap) {
	ports, bindings = nat.PortSet{}, nat.PortMap{}
	for _, port := range []int{p.opts.Port, p.opts.AdminPort} {
		if port != 0 {
			ports[tcp(port)], bindings[tcp(port)] = struct{}{}, []nat.PortBinding{{HostIP: p.opts.Bind}}
		}
	}
	return ports, bindings
}

func tcp(port int) nat.Port { return nat.Port(strconv.Itoa(port) + "/tcp") }

// hostConfig describes the container that owns the pod's network. Its only right beyond
// an ordinary process's is to change that network.
func (p *plan) hostConfig(self peer) recipe {
	yes := true
	ports, bindings := p.exposed()
	return recipe{
		config: &container.Config{
			Image: p.hostImage, Hostname: string(self.node),
			Entrypoint: []string{}, Cmd: []string{"sleep", "infinity"},
			ExposedPorts: ports,
		},
		host: &container.HostConfig{
			NetworkMode:  container.NetworkMode(p.network),
			PortBindings: bindings,
			Init:         &yes,
			CapDrop:      []string{"ALL"}, CapAdd: []string{"NET_ADMIN", "NET_RAW"},
			SecurityOpt:    []string{"no-new-privileges"},
			ReadonlyRootfs: true,
			Tmpfs:          map[string]string{"/run": "", "/tmp": ""},
			Mounts:         p.clockMount(self, false),
			ExtraHosts:     p.captureHosts(),
		},
		net: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			p.network: {
				IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: self.address.String()},
				Aliases:    []string{string(self.node)},
			},
		}},
	}
}

// command is what the store of a node runs with which the cluster begins; nil: what its image says.
func (p *plan) command(n harness.NodeID, members map[harness.NodeID]string) []string {
	if p.opts.Command == nil {
		return nil
	}
	return p.opts.Command(n, members)
}

// storeConfig describes the container of the store: no rights, no writable file outside
// its data volume. A new volume takes over the owner of the image's directory at its
// path, which is how an ordinary user comes to own it.
func (p *plan) storeConfig(self peer, host string, command []string) recipe {
	config := &container.Config{Image: p.opts.Image, Env: p.opts.Env, User: p.opts.User, Cmd: command}
	return recipe{
		config: config,
		host: &container.HostConfig{
			NetworkMode:    container.NetworkMode("container:" + host),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			Mounts: append([]mount.Mount{{
				Type: mount.TypeVolume, Source: p.name(self, "data"), Target: p.opts.Data,
				VolumeOptions: &mount.VolumeOptions{Labels: p.volumeLabels(self)},
			}}, p.clockMount(self, true)...),
			// The logs must be readable through the engine, whatever its default.
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "64m", "max-file": "2"}},
		},
	}
}

func (p *plan) volumeLabels(self peer) map[string]string {
	labels := maps.Clone(p.labels)
	labels[labelNode] = string(self.node)
	return labels
}

func (p *plan) name(self peer, role string) string {
	return fmt.Sprintf("cartwheel-%s-%s-%s", p.opts.Run, self.node, role)
}

func (p *plan) create(ctx context.Context, self peer, role string, r recipe) (id string, err error) {
	r.config.Labels = maps.Clone(p.labels)
	r.config.Labels[labelNode], r.config.Labels[labelRole] = string(self.node), role
	err = uninterrupted(ctx, func(ctx context.Context) error {
		created, err := p.cli.ContainerCreate(ctx, r.config, r.host, r.net, nil, p.name(self, role))
		id = created.ID
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create %s container: %w", role, err)
	}
	return id, nil
}

func (p *plan) run(ctx context.Context, id string) error {
	err := uninterrupted(ctx, func(ctx context.Context) error {
		return p.cli.ContainerStart(ctx, id, container.StartOptions{})
	})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// locate notes where the engine has published the store's ports.
func (p *plan) locate(ctx context.Context, made *pod) error {
	state, err := p.cli.ContainerInspect(ctx, made.host)
	if err != nil {
		return fmt.Errorf("inspect host container: %w", err)
	}
	at := func(port int) (string, error) {
		if port == 0 {
			return "", nil
		}
		if state.NetworkSettings != nil {
			for _, b := range state.NetworkSettings.Ports[tcp(port)] {
				if b.HostPort != "" {
					return net.JoinHostPort(p.opts.Bind, b.HostPort), nil
				}
			}
		}
		return "", fmt.Errorf("the engine has not published port %d", port)
	}
	clients, cerr := at(p.opts.Port)
	admin, aerr := at(p.opts.AdminPort)
	made.ports.Store(&published{clients, admin})
	return errors.Join(cerr, aerr)
}

// stillRuns says why a store that ended at once did so.
func stillRuns(ctx context.Context, cli *client.Client, id string) error {
	state, err := cli.ContainerInspect(ctx, id)
	if err != nil {
		return fmt.Errorf("inspect store container: %w", err)
	}
	if state.State.Running {
		return nil
	}
	var last bytes.Buffer
	if err := copyLogs(ctx, cli, id, "20", &last); err != nil {
		fmt.Fprintf(&last, "(no logs: %v)", err)
	}
	return fmt.Errorf("the store ended at once with status %d; it said:\n%s", state.State.ExitCode, last.String())
}

// copyLogs writes the last lines that a container has printed, or "all".
func copyLogs(ctx context.Context, cli *client.Client, id, tail string, w io.Writer) error {
	logs, err := cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: tail})
	if err != nil {
		return err
	}
	_, err = stdcopy.StdCopy(w, w, logs)
	return errors.Join(err, logs.Close())
}

// logsOf is all that a container has printed.
func logsOf(ctx context.Context, cli *client.Client, id string) (string, error) {
	var b strings.Builder
	err := copyLogs(ctx, cli, id, "all", &b)
	return b.String(), err
}
