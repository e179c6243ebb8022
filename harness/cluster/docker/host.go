package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// debianBase is what host.Dockerfile begins with.
const debianBase = "debian:bookworm-slim"

// Limits of fetching the base image. A registry that is out of reach must not cost more
// than the first; one that answers may be slow.
const (
	registryTimeout = 15 * time.Second
	pullTimeout     = 5 * time.Minute
	baseTimeout     = 10 * time.Minute
)

// HostImage makes the image of the host containers, unless it is there, and returns its
// name. It builds on Debian's base image if that is present or can be pulled, otherwise
// on one made from Debian's packages. Root is the checkout; empty means around the
// working directory.
func HostImage(ctx context.Context, root string, log *slog.Logger) (string, error) {
	cli, err := connect(ctx)
	if err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	defer func() { _ = cli.Close() }()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return hostImage(ctx, cli, root, log)
}

// HasHostImage reports whether [HostImage] has nothing to make.
func HasHostImage(ctx context.Context, root string) (bool, error) {
	cli, err := connect(ctx)
	if err != nil {
		return false, fmt.Errorf("host image: %w", err)
	}
	defer func() { _ = cli.Close() }()
	if root, err = checkout(root); err != nil {
		return false, fmt.Errorf("host image: %w", err)
	}
	ref, _, err := hostRef(root)
	if err != nil {
		return false, fmt.Errorf("host image: %w", err)
	}
	return hasImage(ctx, cli, ref)
}

func hostImage(ctx context.Context, cli *client.Client, root string, log *slog.Logger) (string, error) {
	root, err := checkout(root)
	if err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	ref, recipe, err := hostRef(root)
	if err != nil {
		return "", fmt.Errorf("host image: %w", err)
	}
	err = once(ctx, cli, ref, func() error {
		log.Info("building image, this happens once", "image", ref)
		first := obtainBase(ctx, cli)
		if first == nil {
			if first = buildImage(ctx, cli, ref, "host", []file{{name: "Dockerfile", mode: 0o644, data: recipe}}); first == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return first
		}
		log.Info("base image not usable, making one from Debian's packages", "image", debianBase, "err", first)
		if second := importBase(ctx, cli, root, ref); second != nil {
			return errors.Join(first, second)
		}
		return nil
	})
	return ref, wrap(err, "host image")
}

// hostRef names the host image after its recipes, so that it is made anew when they change.
func hostRef(root string) (ref string, recipe []byte, err error) {
	recipe, err = os.ReadFile(filepath.Join(root, "docker", "host.Dockerfile"))
	if err != nil {
		return "", nil, err
	}
	script, err := os.ReadFile(filepath.Join(root, "docker", "base.sh"))
	if err != nil {
		return "", nil, err
	}
	return "cartwheel-host:" + digest(recipe, script), recipe, nil
}

// obtainBase returns nil if the base image is there or could be pulled.
func obtainBase(ctx context.Context, cli *client.Client) error {
	if there, err := hasImage(ctx, cli, debianBase); there || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	var silent atomic.Bool
	give := time.AfterFunc(registryTimeout, func() {
		silent.Store(true)
		cancel()
	})
	defer give.Stop()
	progress, err := cli.ImagePull(ctx, debianBase, image.PullOptions{})
	if err == nil {
		err = errors.Join(follow(progress, func() { give.Stop() }), progress.Close())
	}
	if err != nil && silent.Load() {
		err = fmt.Errorf("no registry answered within %s: %w", registryTimeout, err)
	}
	return wrap(err, "pull %s", debianBase)
}

// importBase makes the host image from Debian's packages.
func importBase(ctx context.Context, cli *client.Client, root, ref string) (err error) {
	version, err := cli.ServerVersion(ctx)
	if err != nil {
		return fmt.Errorf("engine version: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, baseTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "cartwheel-base-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "base.tar")
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(root, "docker", "base.sh"), version.Arch, out)
	// Asked to end it tidies up after itself, which it cannot do when killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker/base.sh: %w\n%s", err, said)
	}
	archive, err := os.Open(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	// The transport closes what it sends if it can; the file is ours to close.
	source := struct{ io.Reader }{archive}
	progress, err := cli.ImageImport(ctx, image.ImportSource{Source: source, SourceName: "-"}, ref, image.ImportOptions{
		Changes: []string{
			`CMD ["sleep", "infinity"]`,
			fmt.Sprintf("LABEL %s=true %s=host", labelOurs, labelImage),
		},
	})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return wrap(errors.Join(follow(progress, nil), progress.Close()), "import")
}
