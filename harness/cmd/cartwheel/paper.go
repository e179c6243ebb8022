package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/paper"
)

func (a *app) paperCommand() *cobra.Command {
	var o paper.Options
	var results string
	c := &cobra.Command{
		Use:   "paper [FIGURE...]",
		Short: "Repeat experiments of the Dynamo paper",
		Long: "Repeats experiments of the Dynamo paper at a small scale, all or those named, and prints what comes out beside what was\n" +
			"published. Clocks and rings are computed, the rest is played on the simulated cluster: a seed gives the same numbers on\n" +
			"every machine. Charts are written as SVG.\n\nFigures:\n" + listed(paper.Figures()),
		Example: `  cartwheel paper
  cartwheel paper clocks strategies --seed 7`,
		RunE: func(c *cobra.Command, names []string) error {
			wanted, err := chosen(paper.Figures(), names)
			if err != nil {
				return err
			}
			if o.Runs < 0 {
				return fmt.Errorf("%w: --runs %d: must be positive", errUsage, o.Runs)
			}
			dir := filepath.Join(results, time.Now().UTC().Format("20060102T150405Z")+"-paper")
			for _, f := range wanted {
				a.say("%s ...", f.Name)
				r, err := f.Play(c.Context(), o)
				if err != nil {
					return err
				}
				if err := a.show(f, r, dir); err != nil {
					return err
				}
			}
			a.verdict = harness.Valid
			return nil
		},
	}
	f := c.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "of everything random")
	f.IntVar(&o.Runs, "runs", 0, "repetitions of what is random, each with a seed of its own (default: the figure's)")
	f.StringVar(&results, "results", "results", "folder for charts")
	return c
}

// listed names the figures for people.
func listed(figures []paper.Figure) string {
	var b strings.Builder
	for _, f := range figures {
		fmt.Fprintf(&b, "  %-13s %-22s %s\n", f.Name, "("+f.Section+")", f.Title)
	}
	return strings.TrimRight(b.String(), "\n")
}

// chosen finds the figures of some names; of none it is all.
func chosen(all []paper.Figure, names []string) (out []paper.Figure, err error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(f paper.Figure) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: there is no figure %q:\n%s", errUsage, name, listed(all))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// show prints what came out beside what was published, and draws it.
func (a *app) show(f paper.Figure, r paper.Result, dir string) error {
	a.tell("\n%s  section %s: %s", f.Name, f.Section, f.Title)
	a.tell("  published: %s", f.Published)
	for _, t := range r.Tables {
		a.tell("\n  %s", t.Title)
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("print %s: %w", f.Name, err)
		}
	}
	a.tell("")
	for _, text := range r.Remarks {
		a.tell("  %s", text)
	}
	for _, n := range r.Numbers {
		a.tell("figure %s %.4g %s", n.Name, n.Value, n.Unit)
	}
	for _, c := range r.Charts {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("charts: %w", err)
		}
		name := filepath.Join(dir, c.Name+".svg")
		if err := draw(c, name); err != nil {
			return err
		}
		a.tell("  chart: %s", name)
	}
	return nil
}

func draw(c paper.Chart, name string) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return c.Draw(file)
}
