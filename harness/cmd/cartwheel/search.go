package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"cartwheel/harness/checker"
	"cartwheel/harness/checker/child"
)

// searchName is the command by which this program starts itself.
const searchName = "search-register"

// searchCommand is the child's side of a search for linearizability.
func (a *app) searchCommand() *cobra.Command {
	return &cobra.Command{
		Use: searchName, Hidden: true, Short: "Answer one search for linearizability from standard input",
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return child.Serve(c.Context(), os.Stdin, a.out) },
	}
}

// searching has long searches made by processes of this program, if it can be found.
func searching(ctx context.Context) context.Context {
	program, err := os.Executable()
	if err != nil {
		return ctx
	}
	return checker.WithSearcher(ctx, child.Process{Command: []string{program, searchName}}.Search)
}
