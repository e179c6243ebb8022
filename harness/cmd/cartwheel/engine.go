package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/harness/cluster/docker"
)

// errNotUsable is doctor's finding that no cluster of containers can run.
var errNotUsable = errors.New("no cluster of containers can run on this machine as it is; --cluster sim needs no engine")

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

func (a *app) imagesCommand() *cobra.Command {
	var tag string
	c := &cobra.Command{
		Use:   "images",
		Short: "Build the images of docker/compose.yaml, for a cluster by hand",
		Long: `Builds the image of the store from this checkout, and that of the nodes' hosts unless it is
there, and gives them the names that docker/compose.yaml uses.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if there, err := docker.HasHostImage(c.Context(), ""); err != nil {
				return err
			} else if !there {
				a.say("building the image of the nodes' hosts: this happens once and takes a minute or a few")
			}
			host, err := docker.HostImage(c.Context(), "", nil)
			if err != nil {
				return err
			}
			store, err := docker.StoreImage(c.Context(), docker.Build{})
			if err != nil {
				return err
			}
			for _, ref := range []string{host, store} {
				name, _, _ := strings.Cut(ref, ":")
				if err := docker.Tag(c.Context(), ref, name+":"+tag); err != nil {
					return err
				}
				a.tell("%s:%s is %s", name, tag, ref)
			}
			return nil
		},
	}
	c.Flags().StringVar(&tag, "tag", "dev", "of the images")
	return c
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
			scopes := []docker.Scope{docker.Stale}
			if all {
				scopes = append(scopes, docker.All)
			}
			if images {
				scopes = append(scopes, docker.Images)
			}
			var done docker.Cleaned
			for _, scope := range scopes {
				d, err := docker.Clean(c.Context(), scope)
				if err != nil {
					return err
				}
				done = done.Plus(d)
			}
			_, err := fmt.Fprintf(a.out, "removed what %d runs left: %d containers, %d networks, %d volumes, %d images\n",
				done.Runs, done.Containers, done.Networks, done.Volumes, done.Images)
			if err != nil {
				return fmt.Errorf("print what was removed: %w", err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "remove what any run made, those that are alive too")
	c.Flags().BoolVar(&images, "images", false, "remove the images that nothing uses, too; the next run builds them again")
	return c
}
