package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/mutation"
)

// planting says which bug to plant in the store that this command carries for the
// simulated cluster. A bug is source, so the command is built anew.
type planting struct {
	mutant  string // its id
	overlay string // for "go build -overlay"
}

func (p planting) wanted() bool { return p.mutant != "" || p.overlay != "" }

// flags say it again on a command line.
func (p planting) flags() string {
	if p.mutant != "" {
		return "--mutant " + p.mutant
	}
	return "--overlay " + p.overlay
}

// planted builds this command with a bug and runs it with the given arguments, to its end.
// Its exit code becomes ours.
func (a *app) planted(ctx context.Context, p planting, args ...string) (err error) {
	if p.mutant != "" && p.overlay != "" {
		return fmt.Errorf("%w: a mutant and an overlay: which bug is it to be?", errUsage)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cartwheel-planted-")
	if err != nil {
		return fmt.Errorf("plant a bug: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := p.file(root, dir)
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, "cartwheel")
	a.say("  building this command with %s", p.flags())
	if err := buildWith(ctx, root, overlay, binary); err != nil {
		return fmt.Errorf("%s: %w", p.flags(), err)
	}
	child := exec.CommandContext(ctx, binary, args...)
	child.Stdout, child.Stderr = a.out, a.err
	child.Env = withoutKnobs(os.Environ()) // the bug is in it, and the rest in its arguments
	// An interrupt from a terminal reaches the child by itself, and a second one would end
	// it at once: it gets time to write what it has, and says itself how it ended.
	child.Cancel = func() error { return os.ErrProcessDone }
	child.WaitDelay = 2 * time.Minute
	err = child.Run()
	var code *exec.ExitError
	if !errors.As(err, &code) {
		return err
	}
	switch code.ExitCode() {
	case exitInvalid:
		a.verdict = harness.Invalid
	case exitUnknown:
		a.verdict = harness.Unknown
	case exitUsage:
		return fmt.Errorf("%w: see above", errUsage)
	default:
		return fmt.Errorf("the build with %s: %w", p.flags(), err)
	}
	return nil
}

// buildWith builds this command with the bug of an overlay into binary. Without the tables
// of a debugger a build takes three quarters of the time; panics tell their lines all the same.
func buildWith(ctx context.Context, root, overlay, binary string) error {
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./harness/cmd/cartwheel")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build with the bug: %w: %w\n%s", mutation.ErrBuild, err, said)
	}
	return nil
}

// file is the overlay to build with.
func (p planting) file(root, dir string) (string, error) {
	if p.mutant == "" {
		if _, err := os.Stat(p.overlay); err != nil {
			return "", fmt.Errorf("%w: overlay: %w", errUsage, err)
		}
		return filepath.Abs(p.overlay)
	}
	all, err := mutation.Catalogue()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(m mutation.Mutant) bool { return m.ID == p.mutant })
	if i < 0 {
		return "", noMutant(p.mutant)
	}
	return mutation.Apply(root, all[i], dir)
}

func noMutant(id string) error {
	return fmt.Errorf("%w: there is no mutant %q: docs/DETECTION.md lists them all", errUsage, id)
}

// moduleRoot is the folder of our module, which the working directory must be in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	path, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || path != "cartwheel" {
		return "", fmt.Errorf("%w: to plant a bug, run inside a checkout of cartwheel, with the go command at hand", errUsage)
	}
	return dir, nil
}
