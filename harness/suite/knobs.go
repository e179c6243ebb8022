package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/target/cartwheel"
	"cartwheel/nemesis"
	"cartwheel/nemesis/schedule"
)

// Knobs say which run to do, in names and numbers. The zero value of a field is its
// default. They print as a command line, see [Knobs.Command].
type Knobs struct {
	Suite       string        // names the run and its folder; default: the workload's name
	Workload    string        // see Workloads; default "cart"
	Nemesis     string        // see Nemeses, separated by commas; default "partition"
	Gaps        string        // how times between faults are drawn, see [schedule.Gaps]; default "uniform"
	Cluster     string        // see Clusters; default "docker"
	Seed        uint64        // of everything random
	Time        time.Duration // of the load; default 30s
	Nodes       int           // default 5
	Concurrency int           // client threads; default twice the nodes
	Rate        float64       // operations a second, all threads together; default: the workload's

	R, W   int    // replicas to ask; default: the workload's
	Quorum string // "strict" or "sloppy"; default: the workload's
	Repair string // of reads: "async", "blocking" or "none"; default: the workload's

	NoAntiEntropy bool   // nodes do not compare what they hold: hints and reads alone repair
	HintBytes     uint64 // bytes of hints that a node keeps for others; default: the workload's
	HintRate      int    // bytes of hints a second that a node delivers to one owner; default: the workload's

	Durability string        // of writes: "all", "one" or "none"; default: the workload's
	FlushAfter time.Duration // what a lower durability leaves in memory is on disk so much later; "none" needs it. Default: the workload's

	Schedule string // file of faults to replay instead of planning them; see schedule.json of a run
	Image    string // of the store, present in the engine; default: built from this checkout
	Overlay  string // file for "go build -overlay" when the image is built
	Mutant   string // bug of the catalogue that the Overlay or this build has in it, for Command
	Results  string // folder for results; empty: nothing is written
	Capture  string // filter of tcpdump's for packets to record, or [CaptureAll]; in containers only. Default: none are
	Keep     bool   // leave the cluster running
}

// CaptureAll asks for the packets between nodes, and those of clients.
const CaptureAll = docker.CaptureAll

// ErrKnobs marks knobs that make no run.
var ErrKnobs = errors.New("no such run")

func (k Knobs) withDefaults() Knobs {
	k.Workload = cmp.Or(k.Workload, "cart")
	k.Nemesis = cmp.Or(k.Nemesis, "partition")
	k.Cluster = cmp.Or(k.Cluster, "docker")
	k.Time = cmp.Or(k.Time, 30*time.Second)
	k.Nodes = cmp.Or(k.Nodes, 5)
	k.Concurrency = cmp.Or(k.Concurrency, 2*k.Nodes)
	k.Suite = cmp.Or(k.Suite, k.Workload)
	return k
}

// validate reports all that is wrong with the numbers at once. Names are judged by
// who looks them up.
func (k Knobs) validate() error {
	var problems []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	need(k.Gaps == "" || slices.Contains(schedule.Gaps(), k.Gaps), "gaps %q: %s", k.Gaps, strings.Join(schedule.Gaps(), ", "))
	need(k.Time > 0, "time %v: must be positive", k.Time)
	need(k.Nodes >= cartwheel.Replicas, "%d nodes: the store keeps %d replicas of each key, so there must be at least as many", k.Nodes, cartwheel.Replicas)
	need(k.Concurrency > 0, "concurrency %d: must be positive", k.Concurrency)
	need(k.Rate >= 0 && !math.IsInf(k.Rate, 0) && !math.IsNaN(k.Rate), "rate %v: must be a number from 0", k.Rate)
	need(k.R >= 0 && k.R <= cartwheel.Replicas, "r %d: must be from 1 to the %d replicas of a key", k.R, cartwheel.Replicas)
	need(k.W >= 0 && k.W <= cartwheel.Replicas, "w %d: must be from 1 to the %d replicas of a key", k.W, cartwheel.Replicas)
	need(k.Quorum == "" || k.Quorum == "strict" || k.Quorum == "sloppy", "quorum %q: strict or sloppy", k.Quorum)
	need(k.Repair == "" || k.Repair == "async" || k.Repair == "blocking" || k.Repair == "none", "repair %q: async, blocking or none", k.Repair)
	need(k.HintRate >= 0, "hint rate %d: must be a number from 0", k.HintRate)
	need(slices.Contains([]string{"", "all", "one", "none"}, k.Durability), "durability %q: all, one or none", k.Durability)
	need(k.FlushAfter >= 0, "flush after %v: must not be negative", k.FlushAfter)
	need(k.Capture == "" || !Simulated(k.Cluster), "capture: a simulation has no packets. Leave it out, the trace.jsonl of a run with --cluster %s has its messages, or use --cluster docker", sim.World)
	need(k.Image == "" || k.Overlay == "", "an image and an overlay: the overlay would change nothing")
	return errors.Join(problems...)
}

// What nodes keep in memory where disks are bad at their files: no block that was read, and few writes. Otherwise a store has all
// that a run writes in memory, and a disk that fails to read has nothing to fail at.
const (
	cacheLittle    = 1
	memtableLittle = 16 << 10
)

// disturbsFiles reports whether disks are bad where a process meets them. A simulated disk is bad above the engine, whatever that keeps.
func (k Knobs) disturbsFiles() bool {
	return k.Cluster == "docker" && (asks(k.Nemesis, nemesis.DiskKind) || asks(k.Nemesis, AllNemeses))
}

// apply sets the knobs of a workload's store and of its requests. Workloads invoke by
// [harness.Perform]; one whose requests are to ask for something else does so with the new knobs.
func (k Knobs) apply(w harness.Workload) harness.Workload {
	w.Store.NoAntiEntropy = w.Store.NoAntiEntropy || k.NoAntiEntropy
	w.Store.HintBytes = cmp.Or(k.HintBytes, w.Store.HintBytes)
	w.Store.HintRate = cmp.Or(k.HintRate, w.Store.HintRate)
	w.Store.FlushAfter = cmp.Or(k.FlushAfter, w.Store.FlushAfter)
	if k.disturbsFiles() {
		w.Store.CacheBytes, w.Store.MemtableBytes = cmp.Or(w.Store.CacheBytes, cacheLittle), cmp.Or(w.Store.MemtableBytes, memtableLittle)
	}
	if k.R == 0 && k.W == 0 && k.Quorum == "" && k.Repair == "" && k.Durability == "" {
		return w
	}
	w.Read.R = cmp.Or(k.R, w.Read.R)
	w.Write.W = cmp.Or(k.W, w.Write.W)
	w.Read.Repair = cmp.Or(k.Repair, w.Read.Repair)
	w.Write.Durability = cmp.Or(k.Durability, w.Write.Durability)
	if k.Quorum != "" {
		w.Read.Strict, w.Write.Strict = k.Quorum == "strict", k.Quorum == "strict"
	}
	read, write := w.Read, w.Write
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, read, write)
	}
	return w
}

// Command is the command line that does the run again, at the root of a checkout after
// "make build".
func (k Knobs) Command() string {
	words := []string{"bin/cartwheel"}
	if k.Mutant != "" {
		k.Overlay = "" // a file for this once
	}
	for _, word := range k.Arguments() {
		words = append(words, quoted(word))
	}
	if k.Mutant != "" {
		words = append(words, "--mutant", quoted(k.Mutant))
	}
	return strings.Join(words, " ")
}

// Arguments are the command line of the run without the program's name. Defaults are left
// out, so that it stays short enough to be read; so is where the results go.
func (k Knobs) Arguments() []string {
	k = k.withDefaults()
	words := []string{"test", "--workload", k.Workload, "--nemesis", k.Nemesis, "--time", k.Time.String(), "--seed", strconv.FormatUint(k.Seed, 10)}
	add := func(flag, value string, differs bool) {
		if differs {
			words = append(words, flag, value)
		}
	}
	add("--gaps", k.Gaps, k.Gaps != "" && k.Gaps != schedule.GapsUniform)
	add("--cluster", k.Cluster, k.Cluster != "docker")
	add("--nodes", strconv.Itoa(k.Nodes), k.Nodes != 5)
	add("--concurrency", strconv.Itoa(k.Concurrency), k.Concurrency != 2*k.Nodes)
	add("--rate", strconv.FormatFloat(k.Rate, 'g', -1, 64), k.Rate != 0)
	add("--r", strconv.Itoa(k.R), k.R != 0)
	add("--w", strconv.Itoa(k.W), k.W != 0)
	add("--quorum", k.Quorum, k.Quorum != "")
	add("--repair", k.Repair, k.Repair != "")
	if k.NoAntiEntropy {
		words = append(words, "--no-anti-entropy")
	}
	add("--hint-bytes", strconv.FormatUint(k.HintBytes, 10), k.HintBytes != 0)
	add("--hint-rate", strconv.Itoa(k.HintRate), k.HintRate != 0)
	add("--durability", k.Durability, k.Durability != "")
	add("--flush-after", k.FlushAfter.String(), k.FlushAfter != 0)
	add("--schedule", k.Schedule, k.Schedule != "")
	add("--image", k.Image, k.Image != "")
	add("--overlay", k.Overlay, k.Overlay != "")
	switch k.Capture {
	case "":
	case CaptureAll:
		words = append(words, "--capture")
	default:
		words = append(words, "--capture="+k.Capture)
	}
	return words
}

// quoted protects a word from a shell.
func quoted(s string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:,=+@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// playing is the list of nemeses for a schedule: those that the knobs name, and what else its faults are of.
func (k Knobs) playing(faults []harness.Fault) (string, error) {
	list := k.Nemesis
	kinds := Nemeses()[1:] // the first is none
	for _, f := range faults {
		switch {
		case !slices.Contains(kinds, f.Kind):
			return "", fmt.Errorf("%w: %s: fault %s: there is no kind %q, only %s", ErrKnobs, k.Schedule, f.ID, f.Kind, strings.Join(kinds, ", "))
		case list == "none":
			list = f.Kind
		case list != AllNemeses && !asks(list, f.Kind):
			list += "," + f.Kind
		}
	}
	return list, nil
}

// faults reads the schedule to replay, if there is one.
func (k Knobs) faults(read func(string) ([]byte, error), nodes []harness.NodeID) ([]harness.Fault, error) {
	if k.Schedule == "" {
		return nil, nil
	}
	data, err := read(k.Schedule)
	if err != nil {
		return nil, fmt.Errorf("%w: read schedule: %w", ErrKnobs, err)
	}
	faults, err := schedule.Decode(data)
	if err == nil {
		err = schedule.Validate(faults, nodes, k.Time)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKnobs, k.Schedule, err)
	}
	if faults == nil {
		faults = []harness.Fault{} // an empty schedule means no faults, not a new plan
	}
	return faults, nil
}
