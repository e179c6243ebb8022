package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cartwheel/harness/history"
	"cartwheel/harness/history/edn"
)

func (a *app) exportCommand() *cobra.Command {
	var asEDN bool
	c := &cobra.Command{
		Use:   "export FOLDER|FILE",
		Short: "Write a history for other tools",
		Long: `Writes the client operations of a run, or of a history file, to standard output as Jepsen's
tools read them. Answers with several siblings and deletes have no word there and are refused.`,
		Example: `  cartwheel export --edn results/latest > history.edn`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if !asEDN {
				return fmt.Errorf("%w: say what to write: --edn", errUsage)
			}
			name := args[0]
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				name = filepath.Join(name, "history.jsonl")
			}
			h, notes, err := history.ReadFile(name)
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			for _, n := range notes {
				a.say("%s", n)
			}
			return edn.Write(a.out, h)
		},
	}
	c.Flags().BoolVar(&asEDN, "edn", false, "Jepsen's EDN")
	return c
}
