package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
}

// modelHelp lists the models for the help text.
func modelHelp() string {
	var b strings.Builder
	for _, m := range checker.Models() {
		fmt.Fprintf(&b, "  %-13s %s\n", m.Name, m.Doc)
	}
	return b.String()
}

// checkModel judges each file. The verdict is the worst.
func (a *app) checkModel(ctx context.Context, o foreign, files []string) error {
	m, err := checker.ModelNamed(o.model)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	var verdicts []harness.Verdict
	for _, name := range files {
		h, notes, err := o.read(name)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, name, err)
		}
		if len(h) == 0 {
			return fmt.Errorf("%w: %s: no operations in it: see docs/HISTORY.md for what a line must hold", errUsage, name)
		}
		res := runner.JudgeModel(ctx, m.Name, m.Checkers(), m.Unique, h, o.budget)
		res.Reasons = append(res.Reasons, notes...)
		verdicts = append(verdicts, res.Verdict)
		if err := a.printModel(o, name, len(files) > 1, res); err != nil {
			return err
		}
	}
	a.verdict = harness.Worst(verdicts...)
	return nil
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
