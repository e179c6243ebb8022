package report

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// IndexFile is the page that Write makes in a run's folder.
const IndexFile = "index.html"

// historyFile is the history that the page is about, beside it.
const historyFile = "history.jsonl"

//go:embed page.html runs.html style.css
var files embed.FS

// Write makes index.html in a run's folder, and beside it each picture that a checker
// drew and each history of the few operations that show an anomaly by themselves. Files of an earlier report are replaced. The history may be empty. Where the
// folder has a trace, the page shows what of it explains the first anomaly.
func Write(dir string, res harness.Result, h []harness.Op) error {
	lines, err := trace.Load(dir)
	if err != nil {
		return fmt.Errorf("report of %s: %w", res.Plan.Suite, err)
	}
	p, err := newPage(res, h, lines)
	if err != nil {
		return fmt.Errorf("report of %s: %w", res.Plan.Suite, err)
	}
	for _, name := range []string{historyFile, "schedule.json", "verdict.json", "junit.xml", "trace.jsonl", "logs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			p.Beside = append(p.Beside, name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("report of %s: %w", res.Plan.Suite, err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == harness.CaptureExt {
			p.Beside = append(p.Beside, e.Name())
		}
	}
	var buf bytes.Buffer
	if err := p.render(&buf); err != nil {
		return fmt.Errorf("report of %s: %w", res.Plan.Suite, err)
	}
	errs := []error{replace(filepath.Join(dir, IndexFile), buf.Bytes()), writeCores(dir, res, h)}
	for _, pic := range p.Pictures {
		errs = append(errs, replace(filepath.Join(dir, pic.File), pic.data))
	}
	return errors.Join(errs...)
}

// WriteFor makes the page of a history that no run of ours made in a folder of its own, which may be
// new, and beside it the history as it was understood.
func WriteFor(dir string, res harness.Result, h []harness.Op) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	b, err := linesOf(h, func(harness.Op) bool { return true })
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, historyFile), b); err != nil {
		return err
	}
	return Write(dir, res, h)
}

func (p *page) render(buf *bytes.Buffer) error {
	t, err := parse("page.html")
	if err != nil {
		return err
	}
	if err := t.Execute(buf, p); err != nil {
		return fmt.Errorf("fill page: %w", err)
	}
	return nil
}

// replace writes a file in one step: a reader sees the old or the new.
func replace(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	return nil
}
