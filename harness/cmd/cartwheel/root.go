package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cartwheel/harness"
	"cartwheel/harness/runner"
	"cartwheel/harness/suite"
)

// Exit codes of every command.
const (
	exitValid   = 0
	exitInvalid = 1
	exitUnknown = 2
	exitUsage   = 254
	exitFailed  = 255
)

// An app is what the commands share. They write results to out and what happens
// meanwhile to err.
type app struct {
	lookup  func(string) (string, bool) // the environment
	out     io.Writer
	err     io.Writer
	verdict harness.Verdict // of a command that judged
}

// errUsage marks wrong arguments.
var errUsage = errors.New("wrong usage")

// run does one command and returns the exit code. An invalid verdict is told even if
// the harness failed as well: a real finding wins.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), out, stderr io.Writer) int {
	a := &app{lookup: lookup, out: out, err: stderr}
	root := a.root()
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err != nil {
		a.say("error: %v", err)
	}
	switch {
	case a.verdict == harness.Invalid:
		return exitInvalid
	case errors.Is(err, errUsage), errors.Is(err, suite.ErrKnobs), errors.Is(err, runner.ErrRefused), errors.Is(err, runner.ErrStored):
		if takesRun(c) && errors.Is(err, fs.ErrNotExist) {
			a.say("\"cartwheel test\" makes a run's folder below --results and prints its name; the newest is results/latest")
		}
		a.say("see: %s --help", c.CommandPath())
		return exitUsage
	case ctx.Err() != nil && a.verdict == harness.Unknown:
		return exitUnknown // interrupted: the harness did what it was told
	case err != nil:
		return exitFailed
	case a.verdict == harness.Unknown:
		return exitUnknown
	}
	return exitValid
}

// takesRun reports whether a command reads a stored run.
func takesRun(c *cobra.Command) bool {
	return slices.Contains([]string{"check", "replay", "shrink", "export"}, c.Name())
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cartwheel",
		Short: "Test a Dynamo-like store under faults and judge what happened",
		Long: `Cartwheel runs a store on a cluster, works on it while faults strike, and judges the
recorded history. Exit codes: 0 valid, 1 invalid, 2 unknown, 254 wrong usage,
255 the harness itself failed. Flags can be given by the environment, too:
--time is CARTWHEEL_TIME.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: no command %q", errUsage, args[0])
			}
			return nil
		},
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.environment(c.Flags()) },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(a.testCommand(), a.checkCommand(), a.searchCommand(), a.exportCommand(), a.mutantsCommand(), a.anomalyCommand(), a.paperCommand(), a.shrinkCommand(), a.simCommand(), a.replayCommand(), a.serveCommand(), a.coverageCommand(), a.doctorCommand(), a.imagesCommand(), a.cleanCommand(), a.versionCommand())
	return root
}

// arguments makes an argument check's complaint a usage error, which says what the command takes.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		_, takes, some := strings.Cut(c.Use, " ")
		switch {
		case err == nil:
			return nil
		case some:
			return fmt.Errorf("%w: %s takes %s, got %d arguments", errUsage, c.Name(), takes, len(args))
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
}

// environment sets flags that were not given from CARTWHEEL_NAME.
func (a *app) environment(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "CARTWHEEL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := a.lookup(name)
		if f.Changed || !ok || value == "" || f.Name == "help" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", errUsage, name, err))
		}
	})
	return errors.Join(errs...)
}

// say tells what happens, on standard error. A terminal that is gone is no reason to stop.
func (a *app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format+"\n", args...) }

// logger writes what the harness logs to w.
func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
