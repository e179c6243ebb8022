package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"cartwheel/harness"
)

// A disk is made bad where a process meets it: at its system calls. A tracer, a container
// that shares the store's processes and has the right to trace them, lets strace delay or
// fail what waits for the disk (fsync, fdatasync), and fail what reads from a place in a file (pread64). The store is any binary,
// its file system and the kernel are as they were, and the tracer's log has a line for each call that it hit.
//
// Writes that were not synced are in the page cache when the sync fails, as on a real disk:
// so each failed write may have taken effect. A read fails also where the page cache has the bytes; what the store itself keeps in its
// memory it does not read: one that is to meet failing reads has to keep little (see [harness.StoreOptions]). Reads of what the
// kernel makes up, such as the process's share of processors, fail as well, and do not count as hit.
const (
	attachLimit = 10 * time.Second // for a tracer to take hold of a store
	syncCalls   = "fsync,fdatasync"
	readCalls   = "pread64"
	attached    = "attached"  // what strace says once it holds a process
	delayedCall = "(DELAYED)" // and of each call that it hits
	failedCall  = "(INJECTED)"
	resumedCall = " resumed>"
)

// diskFaults lists what a tracer can do to disks, and what needs none.
func (k kernel) diskFaults() []string {
	atRest := []string{harness.DiskRotten, harness.DiskTruncated}
	if !k.traces {
		return atRest
	}
	return append([]string{harness.DiskSlow, harness.DiskReadErrors, harness.DiskWriteErrors, harness.DiskFull, harness.DiskReadOnly}, atRest...)
}

// DiskFaults lists what can be done to disks here: only damage to files where processes may not
// be traced. The first call tries that on the engine, as that of Shapes does.
func (c *Cluster) DiskFaults() []string {
	c.examine()
	return slices.Clone(c.canDisturb)
}

// Disturb makes what the node's store waits for slow or fail, from now on and in its next
// lives.
func (c *Cluster) Disturb(ctx context.Context, n harness.NodeID, f harness.DiskFault) error {
	return c.on(ctx, "disturb the disk of", n, func(r *running, p *pod) error {
		if err := f.Valid(); err != nil {
			return err
		}
		for _, what := range f.Does() {
			if can := c.DiskFaults(); !slices.Contains(can, what) {
				return fmt.Errorf("no %s here, only %v: see 'cartwheel doctor'", what, can)
			}
		}
		if err := errors.Join(r.untrace(ctx, p), r.mendFile(ctx, p)); err != nil {
			return err
		}
		if f.AtRest() {
			p.fault, p.hit = harness.DiskFault{}, 0 // nothing is traced
			return r.damage(ctx, n, p, f)
		}
		p.fault, p.hit = f, 0
		return r.trace(ctx, n, p)
	})
}

// Undisturb lets go of the node's store.
func (c *Cluster) Undisturb(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "heal the disk of", n, func(r *running, p *pod) error {
		p.fault = harness.DiskFault{} // whatever comes of it: its next life is to be well
		if err := errors.Join(r.untrace(ctx, p), r.mendFile(ctx, p)); err != nil {
			return err
		}
		p.hit = 0
		return nil
	})
}

// Disturbed counts the calls that the present fault has delayed or failed, in all lives of
// the store since it began.
func (c *Cluster) Disturbed(ctx context.Context, n harness.NodeID) (hit uint64, err error) {
	err = c.on(ctx, "look at the disk of", n, func(r *running, p *pod) error {
		now, err := r.traced(ctx, p)
		hit = p.hit + now
		return err
	})
	return hit, err
}

// traceArgs is the command that does what a fault says. Descriptors are shown with their files, by which reads of disks are known.
func traceArgs(f harness.DiskFault) []string {
	args := []string{"strace", "-f", "-y", "-p", "1", "-e", "signal=none"}
	every, errno := 1, ""
	switch {
	case f.ReadOnly:
		errno = "EROFS"
	case f.Full:
		errno = "ENOSPC"
	case f.WriteErrors > 0:
		errno, every = "EIO", oneIn(f.WriteErrors)
	}
	how := ""
	if errno != "" {
		how += fmt.Sprintf(":error=%s:when=1+%d", errno, every)
	}
	if f.Slow > 0 {
		how += fmt.Sprintf(":delay_enter=%dus", f.Slow.Microseconds())
	}
	var calls, inject []string
	if how != "" {
		calls, inject = append(calls, syncCalls), append(inject, "-e", "inject="+syncCalls+how)
	}
	if f.ReadErrors > 0 {
		calls, inject = append(calls, readCalls), append(inject, "-e", fmt.Sprintf("inject=%s:error=EIO:when=1+%d", readCalls, oneIn(f.ReadErrors)))
	}
	return append(append(args, "-e", "trace="+strings.Join(calls, ",")), inject...)
}

// oneIn is of how many calls one fails, by their chance to fail.
func oneIn(chance float64) int { return max(1, int(1/chance+0.5)) }

// trace puts the node's fault into force, instead of whatever was before, and returns once
// the tracer holds the store. One that is frozen is held as soon as it is not; one that is
// dead, when it begins again. The caller holds the pod's busy.
func (r *running) trace(ctx context.Context, n harness.NodeID, p *pod) error {
	if err := r.untrace(ctx, p); err != nil || p.fault == (harness.DiskFault{}) {
		return err
	}
	state, err := r.cli.ContainerInspect(ctx, p.store())
	if err != nil || !state.State.Running {
		return wrap(err, "inspect")
	}
	if p.tracer, err = r.plan.startTracer(ctx, n, p.store(), traceArgs(p.fault)); err != nil {
		return err
	}
	for begun := time.Now(); ; {
		said, err := r.said(ctx, p.tracer)
		switch {
		case err != nil:
			return err
		case strings.Contains(said, attached):
			return nil
		}
		if frozen, err := isFrozen(ctx, r.cli, p); err == nil && frozen {
			return nil
		}
		if time.Since(begun) > attachLimit {
			return errors.Join(fmt.Errorf("no hold of the store after %s; the tracer said: %s", attachLimit, said), r.untrace(ctx, p))
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// untrace takes the tracer away; the kernel lets go of what it held. What it has hit is
// noted.
func (r *running) untrace(ctx context.Context, p *pod) error {
	if p.tracer == "" {
		return nil
	}
	hit, err := r.traced(ctx, p)
	if err != nil {
		return err
	}
	if err := removed(struct{}{}, r.cli.ContainerRemove(ctx, p.tracer, container.RemoveOptions{Force: true})); err != nil {
		return err
	}
	p.hit += hit
	p.tracer = ""
	return nil
}

// traced counts the calls that the present tracer has hit.
func (r *running) traced(ctx context.Context, p *pod) (uint64, error) {
	if p.tracer == "" {
		return 0, nil
	}
	said, err := r.said(ctx, p.tracer)
	return hits(said), err
}

// hits counts the calls of which a tracer's log says that they were delayed or failed. One
// that was both has one line with both words. One that another thread's call interrupts has two lines, of which only the first names its file.
func hits(said string) (n uint64) {
	elsewhere := map[string]bool{} // by thread: its call under way is of no file on a disk
	for line := range strings.Lines(said) {
		thread := ""
		if rest, ok := strings.CutPrefix(line, "[pid "); ok {
			thread, _, _ = strings.Cut(rest, "]")
		}
		if !strings.Contains(line, resumedCall) {
			elsewhere[thread] = strings.Contains(line, readCalls+"(") && !ofDisk(line)
		}
		if hit := strings.Contains(line, failedCall) || strings.Contains(line, delayedCall); hit && !elsewhere[thread] {
			n++
		}
	}
	return n
}

// ofDisk reports whether a call's descriptor is shown with a file, and that is not one that the kernel makes up.
func ofDisk(line string) bool {
	return strings.Contains(line, "</") && !strings.Contains(line, "</proc/") && !strings.Contains(line, "</sys/")
}

func (r *running) said(ctx context.Context, id string) (string, error) {
	said, err := logsOf(ctx, r.cli, id)
	return said, wrap(err, "logs of the tracer")
}

// startTracer adds a container to a pod that shares the processes of another. If that fails
// nothing stays behind.
func (p *plan) startTracer(ctx context.Context, n harness.NodeID, of string, command []string) (id string, err error) {
	return p.startAside(ctx, n, "tracer", recipe{
		config: &container.Config{Image: p.hostImage, User: "0:0", Entrypoint: []string{}, Cmd: command},
		host: &container.HostConfig{
			NetworkMode:    "none",
			PidMode:        container.PidMode("container:" + of),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"}, CapAdd: []string{"SYS_PTRACE", "DAC_READ_SEARCH"}, // the second to see which file a descriptor is
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "64m", "max-file": "1"}},
		},
	})
}

// tryTracer finds out whether processes may be traced, on a container that runs.
func tryTracer(ctx context.Context, p *plan, of string) (bool, error) {
	r := &running{cli: p.cli, plan: p}
	tried := &pod{fault: harness.DiskFault{Slow: time.Millisecond}}
	tried.storeID.Store(of)
	err := r.trace(ctx, "n1", tried)
	return err == nil, err
}
