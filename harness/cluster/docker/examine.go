package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/docker/client"
)

// A Check is one thing that [Examine] looked at.
type Check struct {
	Name   string // "engine", "host image", "packet filter", ...
	Level  Level
	Detail string // what was found
	Remedy string // what to do about it; empty if all is well
}

// A Level says how much a check's result matters.
type Level string

// Levels.
const (
	Fine    Level = "fine"
	Lacking Level = "lacking" // some faults or conveniences are missing
	Broken  Level = "broken"  // no cluster can run
)

// A Report is what Examine found. It holds checks even if there is no engine.
type Report struct {
	Checks []Check
}

// Usable reports whether a cluster can run.
func (r Report) Usable() bool {
	for _, c := range r.Checks {
		if c.Level == Broken {
			return false
		}
	}
	return len(r.Checks) > 0
}

func (r *Report) add(name string, level Level, detail, remedy string) {
	r.Checks = append(r.Checks, Check{name, level, detail, remedy})
}

// Examine looks at the engine and what a run would need of it. If the host image exists
// it starts a container for a moment, to try the kernel. Root is the checkout; empty
// means around the working directory.
func Examine(ctx context.Context, root string) Report {
	var r Report
	cli, err := connect(ctx)
	if err != nil {
		detail := err.Error()
		if errors.Is(err, ErrNoEngine) {
			detail, _, _ = strings.Cut(detail, "\n") // what follows is the remedy
		}
		r.add("engine", Broken, detail, engineRemedy)
		return r
	}
	defer func() { _ = cli.Close() }()
	if !r.engine(ctx, cli) {
		return r
	}
	there, ref := r.hostImage(ctx, cli, root)
	if there {
		r.kernel(ctx, cli, ref)
	} else {
		r.add("packet filter", Lacking, "not tried: there is no host image yet", "the first run makes it and tries")
	}
	r.leftovers(ctx, cli)
	return r
}

func (r *Report) engine(ctx context.Context, cli *client.Client) bool {
	info, err := cli.Info(ctx)
	if err != nil {
		r.add("engine", Broken, err.Error(), engineRemedy)
		return false
	}
	if info.OSType != "linux" {
		r.add("engine", Broken, "it runs "+info.OSType+" containers", "switch it to Linux containers")
		return false
	}
	r.add("engine", Fine, fmt.Sprintf("%s at %s, API %s, %s, kernel %s, %d CPUs, %.1f GiB",
		info.ServerVersion, cli.DaemonHost(), cli.ClientVersion(), info.OperatingSystem, info.KernelVersion, info.NCPU, float64(info.MemTotal)/(1<<30)), "")
	if info.CgroupDriver == "none" {
		r.add("cgroups", Lacking, "the engine has none; nodes are paused by SIGSTOP instead", "run the engine with cgroup v2 and systemd")
	} else {
		r.add("cgroups", Fine, fmt.Sprintf("version %s, driver %s", info.CgroupVersion, info.CgroupDriver), "")
	}
	switch info.Driver {
	case "vfs":
		r.add("storage", Lacking, "driver vfs copies an image for every container", "use overlay2 or fuse-overlayfs")
	default:
		r.add("storage", Fine, "driver "+info.Driver, "")
	}
	return true
}

// hostImage reports whether the image is there and, if not, whether it can be made.
func (r *Report) hostImage(ctx context.Context, cli *client.Client, root string) (bool, string) {
	const name = "host image"
	root, err := checkout(root)
	if err != nil {
		r.add(name, Broken, err.Error(), "run from inside the checkout")
		return false, ""
	}
	ref, _, err := hostRef(root)
	if err != nil {
		r.add(name, Broken, err.Error(), "restore the files in docker/")
		return false, ""
	}
	there, err := hasImage(ctx, cli, ref)
	if err != nil {
		r.add(name, Broken, err.Error(), engineRemedy)
		return false, ""
	}
	if there {
		r.add(name, Fine, ref, "")
		return true, ref
	}
	if there, err := hasImage(ctx, cli, debianBase); err == nil && there {
		r.add(name, Fine, "not built yet; "+debianBase+" is present", "")
		return false, ""
	}
	if _, err := cli.DistributionInspect(ctx, debianBase, ""); err == nil {
		r.add(name, Fine, "not built yet; "+debianBase+" can be pulled", "")
		return false, ""
	}
	for _, tool := range []string{"mmdebstrap", "apt-get"} {
		if path, err := exec.LookPath(tool); err == nil {
			r.add(name, Fine, "not built yet; no registry answers, will be made from Debian's packages with "+path, "")
			return false, ""
		}
	}
	r.add(name, Broken, "not built yet, no registry answers, and there is no mmdebstrap",
		"install mmdebstrap (Debian, Ubuntu), or bring "+debianBase+" by 'docker pull' or 'docker load'")
	return false, ""
}

// kernel tries packet filter and traffic shaping where faults will happen.
func (r *Report) kernel(ctx context.Context, cli *client.Client, ref string) {
	k, err := tryKernel(ctx, cli, ref)
	if err != nil {
		r.add("packet filter", Broken, err.Error(), "use an engine whose kernel has nf_tables or ip_tables with the comment match")
		return
	}
	r.add("packet filter", Fine, "iptables works, backend "+k.backend, "")
	shapes := strings.Join(k.shapes(), ", ")
	if k.traces {
		r.add("disk faults", Fine, strings.Join(k.diskFaults(), ", "), "")
	} else {
		r.add("disk faults", Lacking, fmt.Sprintf("only %s, since no process may trace another: %v", strings.Join(k.diskFaults(), ", "), k.untraced),
			"use an engine that grants SYS_PTRACE, or the simulated cluster")
	}
	if k.lossy && k.queue {
		r.add("packet shaping", Fine, shapes, "")
		return
	}
	r.add("packet shaping", Lacking, "the kernel can make only: "+shapes,
		"use a kernel with xt_statistic and nfnetlink_queue, or the simulated cluster for the others")
}

// scratch lends a run of its own, without any node, to who wants to try something, and removes what that leaves.
func scratch(ctx context.Context, cli *client.Client, image, what string, try func(*plan) error) (err error) {
	run := fmt.Sprintf("%s-%d", what, time.Now().UnixNano())
	l, err := acquire("run-" + run)
	if err != nil {
		return err
	}
	defer l.release()
	p := &plan{
		cli: cli, hostImage: image, network: "bridge", within: netip.MustParsePrefix("192.0.2.0/24"), // nobody's
		opts:   Options{Run: run, Port: 1}.withDefaults(),
		labels: owner{machine: machine(), lease: l.path, since: time.Now()}.labels(run),
	}
	defer func() {
		alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, removeRun(alone, cli, run))
	}()
	return try(p)
}

// startIdle starts a host container without a network.
func (p *plan) startIdle(ctx context.Context) (id string, err error) {
	self := peer{node: "n1"}
	recipe := p.hostConfig(self)
	recipe.net, recipe.host.NetworkMode = nil, "none" // the kernel is the same without one
	recipe.host.PortBindings = nil
	if id, err = p.create(ctx, self, "host", recipe); err != nil {
		return "", err
	}
	return id, p.run(ctx, id)
}

// tryKernel runs a cluster of nothing but one host container's worth of rules and a tracer of it.
func tryKernel(ctx context.Context, cli *client.Client, ref string) (k kernel, err error) {
	err = scratch(ctx, cli, ref, "doctor", func(p *plan) error {
		id, err := p.startIdle(ctx)
		if err != nil {
			return err
		}
		k, err = tryRules(ctx, func(stdin string, command ...string) (string, error) {
			return execute(ctx, cli, id, stdin, command...)
		})
		if err == nil {
			k.traces, k.untraced = tryTracer(ctx, p, id)
		}
		return err
	})
	return k, err
}

func (r *Report) leftovers(ctx context.Context, cli *client.Client) {
	all, err := list(ctx, cli, ours(""))
	if err != nil {
		r.add("leftovers", Lacking, err.Error(), "")
		return
	}
	here, now := machine(), time.Now()
	stale := all.keep(func(o owner) bool { return o.stale(here, now, holderGone) })
	if stale.empty() {
		r.add("leftovers", Fine, fmt.Sprintf("none; %d containers of live runs", len(all.containers)), "")
		return
	}
	r.add("leftovers", Lacking, fmt.Sprintf("%d containers, %d networks, %d volumes of runs that were killed",
		len(stale.containers), len(stale.networks), len(stale.volumes)), "the next run removes them, and so does 'cartwheel clean'")
}
