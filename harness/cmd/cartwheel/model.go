package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/history"
	"cartwheel/harness/history/edn"
	"cartwheel/harness/report"
	"cartwheel/harness/runner"
)

// foreign says how to judge histories from anywhere.
type foreign struct {
	model       string
	json        bool
	independent bool
	budget      time.Duration
	page        string // folder for a report
	long        int64  // bytes from which a history is judged as it goes by; default longBytes
}

// modelHelp lists the models for the help text.
func modelHelp() string {
	var b strings.Builder
	for _, m := range checker.Models() {
		fmt.Fprintf(&b, "  %-17s %s\n", m.Name, m.Doc)
	}
	return b.String()
}

// checkModel judges each file. The verdict is the worst.
func (a *app) checkModel(ctx context.Context, o foreign, files []string) error {
	m, err := checker.ModelNamed(o.model)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.page != "" && len(files) > 1 {
		return fmt.Errorf("%w: --report takes one history, got %d", errUsage, len(files))
	}
	var verdicts []harness.Verdict
	for _, name := range files {
		res, err := o.judge(ctx, m, name)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, res.Verdict)
		if err := a.printModel(o, name, len(files) > 1, res); err != nil {
			return err
		}
	}
	a.verdict = harness.Worst(verdicts...)
	return nil
}

// judge judges one file, with a page if one is wanted.
func (o foreign) judge(ctx context.Context, m checker.Model, name string) (harness.Result, error) {
	if s := o.stream(m, name); s != nil {
		return o.judgeLong(ctx, m, s, name)
	}
	h, notes, err := o.read(name)
	if err != nil {
		return harness.Result{}, fmt.Errorf("%w: %s: %w", errUsage, name, err)
	}
	if len(h) == 0 {
		return harness.Result{}, fmt.Errorf("%w: %s: %w", errUsage, name, errNoOperations)
	}
	res := runner.JudgeModel(ctx, m.Name, m.Checkers(), m.Unique, h, o.budget)
	res.Reasons = append(res.Reasons, notes...)
	if o.page != "" {
		res.Dir = o.page
		err = report.WriteFor(o.page, res, h)
	}
	return res, err
}

var errNoOperations = errors.New("no operations in it: see docs/HISTORY.md for what a line must hold")

// longBytes is the size of a history that is judged as it goes by: held as a whole it would
// take several times as much memory.
const longBytes int64 = 256 << 20

// stream returns what judges a long history as it goes by; nil for one that is held: it is
// shorter, or no regular file of JSON lines, or a page is wanted, or the model needs it whole.
func (o foreign) stream(m checker.Model, name string) *checker.Stream {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() < cmp.Or(o.long, longBytes) || o.page != "" || o.independent {
		return nil
	}
	head := make([]byte, 512)
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	n, _ := io.ReadFull(f, head)
	if f.Close() != nil || edn.Is(head[:n]) {
		return nil
	}
	s, err := checker.NewStream(m.Checkers()...)
	if err != nil {
		return nil
	}
	return s
}

func (o foreign) judgeLong(ctx context.Context, m checker.Model, s *checker.Stream, name string) (harness.Result, error) {
	var notes []string
	var lines int
	res, err := runner.JudgeStream(ctx, m.Name, s, func() iter.Seq2[harness.Op, error] {
		lines = 0
		return func(yield func(harness.Op, error) bool) {
			f, err := os.Open(name)
			if err != nil {
				yield(harness.Op{}, err)
				return
			}
			defer func() { _ = f.Close() }() // it was read only
			in := history.NewReader(f)
			for {
				op, err := in.Next()
				if errors.Is(err, io.EOF) {
					notes = in.Notes()
					return
				}
				if lines++; !yield(op, err) || err != nil {
					return
				}
			}
		}
	}, o.budget)
	if err == nil && lines == 0 {
		err = errNoOperations
	}
	if err != nil {
		return res, fmt.Errorf("%w: %s: %w", errUsage, name, err)
	}
	res.Reasons = append(res.Reasons, notes...)
	return res, nil
}

// read takes a file by its content, whatever its name.
func (o foreign) read(name string) (h []harness.Op, notes []string, err error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, errors.New("there is no such file")
		}
		if err != nil {
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, nil, errors.New("it is a folder: name its history.jsonl, or leave --model out")
		}
		in = f
	}
	buffered := bufio.NewReaderSize(in, 64<<10)
	head, err := buffered.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if edn.Is(head) {
		return edn.Read(buffered, edn.Options{Independent: o.independent})
	}
	if o.independent {
		return nil, nil, errors.New("--independent is for EDN: a JSON line says its key")
	}
	return history.Read(buffered)
}

func (a *app) printModel(o foreign, name string, many bool, res harness.Result) error {
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		err := e.Encode(struct {
			File     string            `json:"file"`
			Model    string            `json:"model"`
			Verdict  harness.Verdict   `json:"verdict"`
			Reasons  []string          `json:"reasons"`
			Findings []harness.Finding `json:"findings"`
			Stats    harness.Stats     `json:"stats"`
		}{name, o.model, res.Verdict, res.Reasons, res.Findings, res.Stats})
		if err != nil {
			return fmt.Errorf("print findings: %w", err)
		}
		return nil
	}
	if many {
		a.tell("== %s", name)
	}
	return report.Text(a.out, res)
}
