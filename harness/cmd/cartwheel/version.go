package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if _, err := fmt.Fprintln(a.out, version()); err != nil {
				return fmt.Errorf("print version: %w", err)
			}
			return nil
		},
	}
}

// version names the commit that the build was made of, where the build knows it.
func version() string {
	s := "cartwheel (no commit known)"
	if info, ok := debug.ReadBuildInfo(); ok {
		setting := make(map[string]string)
		for _, v := range info.Settings {
			setting[v.Key] = v.Value
		}
		if revision := setting["vcs.revision"]; revision != "" {
			s = fmt.Sprintf("cartwheel %.12s of %s", revision, setting["vcs.time"])
			if setting["vcs.modified"] == "true" {
				s += ", with changes"
			}
		}
	}
	return fmt.Sprintf("%s, %s, %s/%s", s, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// raceDetector reports whether this build has one.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
