package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/store"
)

// A choice is the consistency of one request. Zero and empty leave a knob to the key's bucket.
type choice struct {
	replicas, quorum, owners, durable, confirms int

	strict, sloppy bool
	repair, absent string
	durability     string
	floor          string // as a context is printed
	within         time.Duration
}

func (c *choice) register(cmd *cobra.Command, letter, of, primaries string) {
	f := cmd.Flags()
	f.IntVarP(&c.quorum, of+"-quorum", letter, 0, "replicas that must answer; 0 is the bucket's default, as for all that follow")
	f.IntVarP(&c.replicas, "replicas", "n", 0, "owners that are asked, from the first of the preference list")
	f.IntVar(&c.owners, primaries, 0, "of those that answer, how many must be owners themselves and not stand-ins")
	f.IntVar(&c.confirms, "node-confirms", 0, "distinct nodes that must answer, stand-ins included")
	f.BoolVar(&c.strict, "strict", false, "only the key's owners count")
	f.BoolVar(&c.sloppy, "sloppy", false, "stand-ins for owners out of reach count, too")
	f.DurationVar(&c.within, "within", 0, "how long the cluster may take before it gives up; --timeout is how long this command waits")
}

func (c *choice) registerRead(cmd *cobra.Command) {
	c.register(cmd, "r", "read", "pr")
	cmd.Flags().StringVar(&c.repair, "repair", "", "of replicas that are behind: async, blocking or none")
	cmd.Flags().StringVar(&c.absent, "not-found", "", "what a replica that has nothing is worth: counts, does-not-count or basic-quorum")
	cmd.Flags().StringVar(&c.floor, "floor", "", "show at least what this context has seen, or fail; reads and writes print it")
}

func (c *choice) registerWrite(cmd *cobra.Command) {
	c.register(cmd, "w", "write", "pw")
	cmd.Flags().IntVar(&c.durable, "dw", 0, "replicas that must have it on disk")
	cmd.Flags().StringVar(&c.durability, "durability", "", "what is on disk when it is acknowledged: all, one (the coordinator's copy) or none")
}

func (c *choice) mode() (store.Mode, error) {
	switch {
	case c.strict && c.sloppy:
		return 0, errors.New("--strict and --sloppy exclude each other")
	case c.strict:
		return store.Strict, nil
	case c.sloppy:
		return store.Sloppy, nil
	}
	return store.ModeDefault, nil
}

func (c *choice) read() (store.ReadOptions, error) {
	mode, merr := c.mode()
	repair, rerr := store.ParseRepair(c.repair)
	absent, aerr := store.ParseNotFound(c.absent)
	floor, ferr := contextEncoding.DecodeString(c.floor)
	if err := errors.Join(merr, named("--repair", rerr), named("--not-found", aerr), named("--floor", ferr)); err != nil {
		return store.ReadOptions{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return store.ReadOptions{
		N: c.replicas, R: c.quorum, PR: c.owners, NodeConfirms: c.confirms,
		Mode: mode, Repair: repair, NotFound: absent, Timeout: c.within, Floor: floor,
	}, nil
}

func (c *choice) write() (store.WriteOptions, error) {
	mode, merr := c.mode()
	durability, derr := store.ParseDurability(c.durability)
	if err := errors.Join(merr, named("--durability", derr)); err != nil {
		return store.WriteOptions{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return store.WriteOptions{
		N: c.replicas, W: c.quorum, PW: c.owners, DW: c.durable, NodeConfirms: c.confirms, Mode: mode, Durability: durability, Timeout: c.within,
	}, nil
}

// named says which flag an error is about.
func named(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flag, err)
}
