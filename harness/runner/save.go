package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cartwheel/harness"
)

// Files of a run's folder, explained in results/README.md.
const (
	historyFile  = "history.jsonl"
	scheduleFile = "schedule.json"
	verdictFile  = "verdict.json"
	junitFile    = "junit.xml"
	stacksFile   = "goroutines.txt"
	logsDir      = "logs"
	latestLink   = "latest"
)

// createDir makes a new folder <stamp>-<suite>-<seed> and points latest at it. A name
// that is taken, by a run of the same second, gets a number.
func createDir(root string, at time.Time, p harness.Plan) (string, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("create results: %w", err)
	}
	base := fmt.Sprintf("%s-%s-%d", at.UTC().Format("20060102T150405Z"), fileName(p.Suite), p.Seed)
	name := base
	for n := 2; ; n++ {
		err := os.Mkdir(filepath.Join(root, name), 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return "", fmt.Errorf("create results: %w", err)
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
	pointLatest(root, name)
	return filepath.Join(root, name), nil
}

// pointLatest replaces the link by a rename, so that it always points somewhere. A
// file system without links does without.
func pointLatest(root, name string) {
	tmp := filepath.Join(root, "."+name)
	if os.Symlink(name, tmp) != nil {
		return
	}
	if os.Rename(tmp, filepath.Join(root, latestLink)) != nil {
		_ = os.Remove(tmp) // somebody made a folder of that name: leave it alone
	}
}

// fileName keeps what is harmless in a file's name.
func fileName(s string) string {
	return string(bytes.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		default:
			return '-'
		}
	}, []byte(s)))
}

// saveJSON writes a file in one step: a reader sees the old or the new.
func saveJSON(path string, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	return saveFile(path, buf.Bytes())
}

func saveFile(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// faultList is an empty list rather than null: people edit the file.
func faultList(fs []harness.Fault) []harness.Fault {
	if fs == nil {
		return []harness.Fault{}
	}
	return fs
}

// saveLogs keeps what the nodes logged. A missing log is told, but changes no verdict.
func (r *run) saveLogs(ctx context.Context) {
	fetcher, ok := r.o.Cluster.(harness.LogFetcher)
	if !ok {
		return
	}
	dir := filepath.Join(r.rec.Dir, logsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.o.Logger.Warn("logs were not kept", "err", err)
		return
	}
	for _, n := range r.nodes {
		if err := saveFrom(ctx, fetcher.Logs, n, filepath.Join(dir, fileName(string(n))+".log")); err != nil {
			r.o.Logger.Warn("log was not kept", "node", n, "err", err)
		}
	}
}

// saveCaptures keeps the packets of all nodes there are, if they were recorded. Missing ones are told, but change no verdict.
func (r *run) saveCaptures(ctx context.Context) {
	capturer, ok := r.o.Cluster.(harness.Capturer)
	if !ok || !capturer.Captures() {
		return
	}
	nodes := r.nodes
	if added, ok := r.o.Cluster.(harness.Resizer); ok {
		nodes = slices.Concat(nodes, added.Spares())
	}
	for _, n := range nodes {
		path := filepath.Join(r.rec.Dir, fileName(string(n))+harness.CaptureExt)
		if err := saveFrom(ctx, capturer.Capture, n, path); err != nil {
			r.o.Logger.Warn("packets were not kept", "node", n, "err", err)
			_ = os.Remove(path) // part of a file would be taken for all of it
		}
	}
}

// saveFrom has a cluster write what it knows of a node into a file.
func saveFrom(ctx context.Context, write func(context.Context, harness.NodeID, io.Writer) error, n harness.NodeID, path string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(ctx, n, f)
}
