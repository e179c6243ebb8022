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

//go:embed page.html runs.html style.css
var files embed.FS

// Write makes index.html in a run's folder, and beside it each picture that a checker
// drew. Files of an earlier report are replaced. The history may be empty. Where the
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
	var buf bytes.Buffer
	if err := p.render(&buf); err != nil {
		return fmt.Errorf("report of %s: %w", res.Plan.Suite, err)
	}
	errs := []error{replace(filepath.Join(dir, IndexFile), buf.Bytes())}
	for _, pic := range p.Pictures {
		errs = append(errs, replace(filepath.Join(dir, pic.File), pic.data))
	}
	return errors.Join(errs...)
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
