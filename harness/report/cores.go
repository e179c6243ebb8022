package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cartwheel/harness"
)

// coreFile is the history in which an anomaly shows by itself, beside the page.
func coreFile(number int) string { return fmt.Sprintf("core-%d.jsonl", number) }

// cores numbers the cores of a result, across its findings, from 1.
func cores(res harness.Result) map[*harness.Anomaly]int {
	out := make(map[*harness.Anomaly]int)
	for _, f := range res.Findings {
		for i := range f.Anomalies {
			if a := &f.Anomalies[i]; len(a.Core) > 0 {
				out[a] = len(out) + 1
			}
		}
	}
	return out
}

// A coreView is the few operations that are enough to show an anomaly.
type coreView struct {
	File string
	Rows []opRow
	Of   int // operations of the whole history
}

func (a *analysis) core(an harness.Anomaly, number int) *coreView {
	v := &coreView{File: coreFile(number), Of: len(a.calls) + len(a.finals)}
	for _, i := range an.Core {
		if c := a.at[i]; c != nil && c.inv.Index == i {
			v.Rows = append(v.Rows, opRowOf(*c, slices.Contains(an.Ops, i) || slices.Contains(an.Ops, c.done.Index)))
		}
	}
	if len(v.Rows) == 0 {
		return nil
	}
	return v
}

// writeCores replaces the histories of an earlier report by those of this one.
func writeCores(dir string, res harness.Result, h []harness.Op) error {
	old, err := filepath.Glob(filepath.Join(dir, "core-*.jsonl"))
	errs := []error{err}
	for _, name := range old {
		errs = append(errs, os.Remove(name))
	}
	for a, number := range cores(res) {
		b, err := linesOf(h, func(op harness.Op) bool { return slices.Contains(a.Core, op.Index) })
		errs = append(errs, err, replace(filepath.Join(dir, coreFile(number)), b))
	}
	return errors.Join(errs...)
}

// linesOf is a history in the form of its file.
func linesOf(h []harness.Op, keep func(harness.Op) bool) ([]byte, error) {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for _, op := range h {
		if keep(op) {
			if err := lines.Encode(op); err != nil {
				return nil, fmt.Errorf("encode operation %d: %w", op.Index, err)
			}
		}
	}
	return b.Bytes(), nil
}
