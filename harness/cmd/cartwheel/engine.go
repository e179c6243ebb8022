package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/harness/cluster/docker"
)

// errNotUsable is doctor's finding that no cluster can run.
var errNotUsable = errors.New("no cluster can run on this machine as it is")

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine and its Docker Engine can do",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			r := docker.Examine(c.Context(), "")
			var b strings.Builder
			for _, check := range r.Checks {
				fmt.Fprintf(&b, "%-8s %-16s %s\n", check.Level, check.Name, indent(check.Detail))
				if check.Remedy != "" {
					fmt.Fprintf(&b, "%-8s %-16s → %s\n", "", "", indent(check.Remedy))
				}
			}
			if _, err := fmt.Fprint(a.out, b.String()); err != nil {
				return fmt.Errorf("print findings: %w", err)
			}
			if !r.Usable() {
				return errNotUsable
			}
			return nil
		},
	}
}

// indent keeps the further lines of a text in its column.
func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", 26))
}

func (a *app) cleanCommand() *cobra.Command {
	var all, images bool
	c := &cobra.Command{
		Use:   "clean",
		Short: "Remove what killed runs left in the Docker Engine",
		Long: `Removes containers, networks and volumes of runs whose process is gone. Runs that are
alive keep theirs, unless all are asked for.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			scope := docker.Stale
			if all {
				scope = docker.All
			}
			if images {
				scope = docker.Images
			}
			done, err := docker.Clean(c.Context(), scope)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "removed what %d runs left: %d containers, %d networks, %d volumes, %d images\n",
				done.Runs, done.Containers, done.Networks, done.Volumes, done.Images)
			if err != nil {
				return fmt.Errorf("print what was removed: %w", err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "remove what any run made, those that are alive too")
	c.Flags().BoolVar(&images, "images", false, "and the images, which the next run builds again")
	return c
}
