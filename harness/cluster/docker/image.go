package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/client"
)

// storeUser is whom store.Dockerfile gives the data directory to. It has no name and no
// rights anywhere.
const storeUser = "65532:65532"

// A Build says what goes into a store image.
type Build struct {
	Root    string       // the checkout; default: around the working directory
	Package string       // main package to build; default ./store/cmd/cartwheeld
	Overlay string       // file for "go build -overlay", which swaps source files; default none
	Logger  *slog.Logger // default discards
}

// StoreImage builds a static binary and puts it into an image by itself, without any
// network. It returns the image's name, which carries a hash of its content: equal
// binaries share an image, a changed one never takes over another's name.
func StoreImage(ctx context.Context, b Build) (string, error) {
	ref, err := storeImage(ctx, b)
	return ref, wrap(err, "store image")
}

func storeImage(ctx context.Context, b Build) (string, error) {
	if b.Package == "" {
		b.Package = "./store/cmd/cartwheeld"
	}
	cli, err := connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = cli.Close() }()
	return binaryImage(ctx, cli, b, "store", "cartwheeld", file{name: "data/", mode: 0o755})
}

// shaperImage builds the image of what disturbs packets.
func shaperImage(ctx context.Context, cli *client.Client, root string, log *slog.Logger) (string, error) {
	ref, err := binaryImage(ctx, cli, Build{Root: root, Package: "./harness/cmd/shaper", Logger: log}, "shaper", "shaper")
	return ref, wrap(err, "shaper image")
}

// binaryImage builds an image of that kind from docker/KIND.Dockerfile, whose context holds
// the binary by that name and more files.
func binaryImage(ctx context.Context, cli *client.Client, b Build, kind, name string, more ...file) (string, error) {
	if b.Logger == nil {
		b.Logger = slog.New(slog.DiscardHandler)
	}
	root, err := checkout(b.Root)
	if err != nil {
		return "", err
	}
	recipe, err := os.ReadFile(filepath.Join(root, "docker", kind+".Dockerfile"))
	if err != nil {
		return "", err
	}
	version, err := cli.ServerVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("engine version: %w", err)
	}
	binary, err := compile(ctx, root, b, version.Arch)
	if err != nil {
		return "", err
	}
	ref := "cartwheel-" + kind + ":" + digest(recipe, binary)
	err = once(ctx, cli, ref, func() error {
		b.Logger.Info("building image", "image", ref)
		files := append([]file{
			{name: "Dockerfile", mode: 0o644, data: recipe},
			{name: name, mode: 0o755, data: binary},
		}, more...)
		return buildImage(ctx, cli, ref, kind, files)
	})
	return ref, err
}

// compile builds the binary for the engine's machine, which need not be this one. Without
// the version control's stamp a commit that leaves the code alone leaves the image alone.
func compile(ctx context.Context, root string, b Build, arch string) (binary []byte, err error) {
	dir, err := os.MkdirTemp("", "cartwheel-build-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "cartwheeld")
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", out}
	if b.Overlay != "" {
		overlay, err := filepath.Abs(b.Overlay)
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, b.Package)...)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s: %w\n%s", b.Package, err, said)
	}
	return os.ReadFile(out)
}

// Tag gives an image one more name, which moves there if another image has it.
func Tag(ctx context.Context, ref, name string) error {
	cli, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("tag %s: %w", ref, err)
	}
	defer func() { _ = cli.Close() }()
	return wrap(cli.ImageTag(ctx, ref, name), "tag %s as %s", ref, name)
}

// checkout returns the root of our source tree, around dir.
func checkout(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "docker", "host.Dockerfile")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in a checkout of cartwheel: run from inside one, images are built from it", dir)
		}
	}
}

// digest names content. It is short enough for a tag and long enough to be unique.
func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// once makes an image unless it is there. Of processes that want the same image one makes
// it and the others wait.
func once(ctx context.Context, cli *client.Client, ref string, make func() error) error {
	if there, err := hasImage(ctx, cli, ref); there || err != nil {
		return err
	}
	l, err := await(ctx, "image-"+strings.ReplaceAll(ref, ":", "-"))
	if err != nil {
		return err
	}
	defer l.release()
	if there, err := hasImage(ctx, cli, ref); there || err != nil {
		return err
	}
	return make()
}

func hasImage(ctx context.Context, cli *client.Client, ref string) (bool, error) {
	_, err := cli.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, wrap(err, "image %s", ref)
}

// A file goes into a build context. One whose name ends in a slash is a directory.
type file struct {
	name string
	mode int64
	data []byte
}

// buildImage builds from a context that holds a Dockerfile. It asks for the classic builder:
// the newer one needs a session, and neither recipe has any use for it.
func buildImage(ctx context.Context, cli *client.Client, ref, kind string, files []file) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	built, err := cli.ImageBuild(ctx, &archive, build.ImageBuildOptions{
		Tags: []string{ref}, Labels: map[string]string{labelOurs: "true", labelImage: kind},
		Remove: true, ForceRemove: true, Version: build.BuilderV1,
	})
	if err != nil {
		return fmt.Errorf("build %s: %w", ref, err)
	}
	err = follow(built.Body, nil)
	return wrap(errors.Join(err, built.Body.Close()), "build %s", ref)
}

// follow reads an engine's progress report to its end and returns the error in it, with
// what was printed last. It calls begun, if given, at the first sign of progress.
func follow(r io.Reader, begun func()) error {
	var printed []string
	for d := json.NewDecoder(r); ; {
		var line struct{ Stream, Status, Error string }
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("progress report: %w", err)
		}
		if line.Error != "" {
			return fmt.Errorf("%s\n%s", line.Error, strings.Join(printed, ""))
		}
		if begun != nil {
			begun()
			begun = nil
		}
		if line.Stream != "" {
			printed = append(printed, line.Stream)
			printed = printed[max(0, len(printed)-20):]
		}
	}
}
