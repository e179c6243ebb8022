package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cartwheel/harness/report"
)

func (a *app) coverageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "coverage [FOLDER]",
		Short: "Count which faults met which workloads in all stored runs",
		Long: `Reads the verdicts of all runs in a folder of results and counts, for each sort of fault,
workload and world, how many faults are proven (installed), how many are not
(indeterminate), and how many runs had to leave it out (skipped). The table is printed
and kept in the folder, as coverage.txt and coverage.json.`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "results"
			if len(args) > 0 {
				dir = args[0]
			}
			return a.coverage(dir)
		},
	}
}

func (a *app) coverage(dir string) error {
	runs, err := report.Stored(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	rows := report.Coverage(runs)
	if len(rows) == 0 {
		return fmt.Errorf("%w: no run in %s had a fault", errUsage, dir)
	}
	var table bytes.Buffer
	err = report.WriteCoverage(&table, rows)
	data, jerr := json.MarshalIndent(rows, "", "  ")
	if err := errors.Join(err, jerr); err != nil {
		return err
	}
	_, err = a.out.Write(table.Bytes())
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, "coverage.txt"), table.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "coverage.json"), append(data, '\n'), 0o644))
}
