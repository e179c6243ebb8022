package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// Settings are what the environment decides about all runs of a suite.
type Settings struct {
	Cluster string        // docker or sim
	Insists bool          // the cluster was asked for by name: no other will do
	Seed    uint64        // of operations and faults
	Time    time.Duration // of the load
	Results string        // folder for results; empty: nothing is written
}

// Read reads the settings. Lookup is os.LookupEnv, or a test's; an empty value counts
// as none, since make exports its knobs whether set or not. The random seed is Ginkgo's,
// the label filter tells whether specs were chosen.
func Read(lookup func(string) (string, bool), random int64, labels string) (Settings, error) {
	s := Settings{Cluster: "docker", Seed: uint64(random), Time: 30 * time.Second, Results: filepath.Join("..", "..", "results")}
	var errs []error
	set := func(name string, parse func(string) error) {
		if v, ok := lookup(name); ok && v != "" {
			if err := parse(v); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", name, v, err))
			}
		}
	}
	chosen := labels != ""
	set("CLUSTER", func(v string) error { s.Cluster, s.Insists, chosen = v, true, true; return nil })
	set("RESULTS", func(v string) error { s.Results = v; return nil })
	if !chosen { // one test among all others: it must need nothing, leave nothing behind and be short
		s.Cluster, s.Seed, s.Results, s.Time = "sim", 1, "", 10*time.Second
	}
	set("SEED", func(v string) (err error) { s.Seed, err = strconv.ParseUint(v, 10, 64); return err })
	set("TIME", func(v string) (err error) {
		if s.Time, err = time.ParseDuration(v); err == nil && s.Time <= 0 {
			err = errors.New("want more than nothing")
		}
		return err
	})
	return s, errors.Join(errs...)
}

// Settle returns the settings that can be had on this machine. Where there is no Docker
// Engine and nobody insists on one, the simulation plays instead, and the warning says so.
func (s Settings) Settle(reach func(cluster string) error) (_ Settings, warning string) {
	if s.Insists || reach(s.Cluster) == nil {
		return s, ""
	}
	s.Cluster = "sim"
	return s, `
!!! NO DOCKER ENGINE ANSWERS: this run plays on the SIMULATED cluster, in one process and virtual time.
!!! The store, the workload, the faults and the checkers are the same; processes, network and disks are not real.
!!! "bin/cartwheel doctor" says how to get an engine; CLUSTER=docker fails without one, CLUSTER=sim says that this is meant.
`
}

// Limit is how long a run may take in all: building images the first time, the load,
// settling, reading replicas, judging. It can be asked while Ginkgo's tree is built, when
// nothing else of the settings is known.
func Limit(lookup func(string) (string, bool)) time.Duration {
	s, _ := Read(lookup, 0, "") // what is wrong is told by the run
	return s.Time + 8*time.Minute
}
