package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"iter"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/seeds"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/suite"
)

// A search runs many seeds on the simulated cluster.
type search struct {
	knobs     suite.Knobs
	grpc      bool     // with gRPC itself on the wire
	ties      bool     // with messages that arrive at once
	workloads []string // a seed does one of them, by its remainder
	seeds     int
	first     uint64
	workers   int
	limit     time.Duration
	keepGoing bool
	unknownOK bool // seeds may be unknown
	isWorker  bool
}

func (a *app) simCommand() *cobra.Command {
	var s search
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run many seeds on the simulated cluster",
		Long: `Runs many seeds in virtual time, each a whole run with faults of its own, in worker
processes on all cores. A seed is the same run on every machine; one in fifty runs twice to
hold that true. A worker that dies or hangs is reported with the seed that did it.

The search ends at the first failure, which is printed with the command that repeats it.
With --ties messages meet, so that the store's code runs in parallel within one instant: what
is looked for are data races, and locks that are missing. A seed then tells the faults and the load,
no more.

A seed that is unknown shows nothing: it is told with its reason, and makes the search
unknown unless that is allowed. If no seed was judged valid, it is unknown either way. The
events that every run has to show are required of the search as a whole: a seed that
lacks one counts as valid if another seed has shown it.`,
		Example: `  cartwheel sim --seeds 1000
  cartwheel sim --seeds 200 --workload register --nemesis pause --keep-going`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if s.seeds < 1 || s.workers < 0 || s.limit <= 0 {
				return fmt.Errorf("%w: --seeds %d, --workers %d, --limit %v: want seeds and a limit above 0, and no negative workers", errUsage, s.seeds, s.workers, s.limit)
			}
			if slices.Equal(s.workloads, []string{"all"}) {
				s.workloads = suite.Sound()
			}
			if err := s.check(); err != nil {
				return err
			}
			if s.isWorker {
				return seeds.Work(c.InOrStdin(), a.out, func(j seeds.Job) seeds.Report { return s.do(c.Context(), j) })
			}
			return a.search(c.Context(), s)
		},
	}
	f := c.Flags()
	f.IntVar(&s.seeds, "seeds", 100, "how many")
	f.Uint64Var(&s.first, "first", 0, "the first seed; the others follow it")
	s.seedFlags(f)
	f.IntVar(&s.workers, "workers", 0, "processes (default: one a core)")
	f.DurationVar(&s.limit, "limit", time.Minute, "real time for one seed, after which it is taken for hung")
	f.BoolVar(&s.keepGoing, "keep-going", false, "do not end at a failure")
	f.BoolVar(&s.unknownOK, "allow-unknown", false, "unknown seeds do not make the search unknown")
	f.BoolVar(&s.isWorker, "worker", false, "do jobs from standard input")
	_ = f.MarkHidden("worker") // it is there: the line above made it
	return c
}

// seedFlags say what a seed is a run of. They are the same wherever a seed is named, so
// that it is the same run there. It returns their names.
func (s *search) seedFlags(f *pflag.FlagSet) []string {
	own := pflag.NewFlagSet("seed", pflag.ContinueOnError)
	own.StringSliceVar(&s.workloads, "workload", []string{"cart", "register"}, "what clients do, by turns: "+strings.Join(suite.Workloads(), ", ")+", or all that a correct store passes")
	own.StringVar(&s.knobs.Nemesis, "nemesis", "partition,pause", "faults: "+strings.Join(suite.Nemeses(), ", ")+", or "+suite.AllNemeses)
	own.DurationVar(&s.knobs.Time, "time", 20*time.Second, "virtual length of the load")
	own.Float64Var(&s.knobs.Rate, "rate", 15, "operations a second, all threads together")
	own.IntVar(&s.knobs.Nodes, "nodes", 5, "nodes of the cluster")
	own.IntVar(&s.knobs.Concurrency, "concurrency", 0, "client threads (default: twice the nodes)")
	own.BoolVar(&s.grpc, "grpc", false, "gRPC itself over simulated sockets: slower, and the store's transport is tested too")
	own.BoolVar(&s.ties, "ties", false, "let messages arrive at the same instant: does not replay; see make test-ties")
	var names []string
	own.VisitAll(func(g *pflag.Flag) { names = append(names, g.Name) })
	f.AddFlagSet(own)
	return names
}

func (s search) check() error {
	if len(s.workloads) == 0 {
		return fmt.Errorf("%w: no workload", errUsage)
	}
	if _, err := suite.Tier(s.grpc, s.ties); err != nil {
		return err
	}
	for i := range s.workloads {
		if err := suite.Check(s.knobsOf(uint64(i))); err != nil {
			return err
		}
	}
	return nil
}

// knobsOf says which run a seed is.
func (s search) knobsOf(seed uint64) suite.Knobs {
	k := s.knobs
	k.Cluster, _ = suite.Tier(s.grpc, s.ties) // check has found it
	k.Seed, k.Workload = seed, s.workloads[seed%uint64(len(s.workloads))]
	return k
}

// A finding is what a worker tells of a seed.
type finding struct {
	Verdict harness.Verdict `json:"verdict"`
	Reasons []string        `json:"reasons,omitempty"`
	Lines   int             `json:"lines"`   // of the history
	Virtual time.Duration   `json:"virtual"` // from the start of the load to the run's end

	Thin    bool     `json:"thin,omitempty"`    // see harness.Result
	Missing []string `json:"missing,omitempty"` // required events that never happened ...
	Seen    []string `json:"seen,omitempty"`    // ... and those that did, each with its workload
}

// do runs one seed, in a worker.
func (s search) do(ctx context.Context, j seeds.Job) seeds.Report {
	sum, lines := fnv.New64a(), lineCounter{hash: fnv.New64a()}
	res, err := suite.Run(ctx, s.knobsOf(j.Seed), suite.Hooks{
		Journal: &lines,
		Packets: func(t wire.Tally) {
			_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, t.Packets)) // a hash never fails
			_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, t.Sum))
		},
	})
	_, _ = sum.Write(lines.hash.Sum(nil))
	r := seeds.Report{Sum: sum.Sum64(), Failed: res.Verdict == harness.Invalid || err != nil}
	if err != nil {
		r.Error = err.Error()
	}
	f := finding{Verdict: res.Verdict, Reasons: res.Reasons, Lines: lines.n, Thin: res.Thin}
	for _, e := range res.Events {
		if name := res.Plan.Workload + ": " + e.Name; e.Count > 0 {
			f.Seen = append(f.Seen, name)
		} else {
			f.Missing = append(f.Missing, name)
		}
	}
	if n := len(res.Phases); n > 0 {
		f.Virtual = res.Phases[n-1].End
	}
	r.Data, err = json.Marshal(f)
	if err != nil {
		r.Error = errors.Join(errors.New(r.Error), err).Error()
	}
	return r
}

// A lineCounter counts lines and hashes them.
type lineCounter struct {
	n    int
	hash hash.Hash
}

func (l *lineCounter) Write(p []byte) (int, error) {
	l.n += bytes.Count(p, []byte("\n"))
	return l.hash.Write(p)
}

// seedArgs say on a command line what seedFlags read.
func (s search) seedArgs() []string {
	return []string{
		"--workload", strings.Join(s.workloads, ","), "--nemesis", s.knobs.Nemesis,
		"--time", s.knobs.Time.String(), "--rate", strconv.FormatFloat(s.knobs.Rate, 'g', -1, 64),
		"--nodes", strconv.Itoa(s.knobs.Nodes), "--concurrency", strconv.Itoa(s.knobs.Concurrency),
		"--grpc=" + strconv.FormatBool(s.grpc), "--ties=" + strconv.FormatBool(s.ties),
	}
}

// worker returns the command of a process that does jobs: this program again.
func (s search) worker() (func() *exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	args := append([]string{"sim", "--worker"}, s.seedArgs()...)
	return func() *exec.Cmd {
		cmd := exec.Command(self, args...)
		cmd.Env = append(s.workerEnv(), os.Environ()...) // what is set already stays
		return cmd
	}, nil
}

// workerEnv suits a worker's Go runtime to what it does. A seed is one chain of events, so
// a process a core beats many threads; and the heap is small, so collecting it seldom costs
// little memory. Where things happen at once they must really run at once, and a data race
// ends the worker, which is reported as a crash of the seed.
func (s search) workerEnv() []string {
	if s.ties {
		return []string{"GOMAXPROCS=4", "GOGC=400", "GORACE=halt_on_error=1"}
	}
	return []string{"GOMAXPROCS=1", "GOGC=400"}
}

// secondProcs is GOMAXPROCS of the seeds that run twice: not a worker's usual one.
const secondProcs = 4

// repeat is the command line that runs a seed again. Where things happen at once that is
// another run, with the same load and faults.
func (s search) repeat(seed uint64) string {
	command := s.knobsOf(seed).Command()
	if s.ties && raceDetector() {
		return strings.Replace(command, "bin/cartwheel", "bin/cartwheel-race", 1)
	}
	return command
}

// recheck is how often a seed runs twice; see seeds.Options.
func (s search) recheck() int {
	if s.ties {
		return -1 // it would not be the same again
	}
	return 0
}

// search runs the seeds, tells of failures as they come, and sums up.
func (a *app) search(ctx context.Context, s search) error {
	command, err := s.worker()
	if err != nil {
		return err
	}
	if s.ties && !raceDetector() {
		a.say("this build has no race detector, which sees most of what --ties can show: use make test-ties")
	}
	a.say("%d seeds from %d, %s under %s, %v each", s.seeds, s.first, strings.Join(s.workloads, " and "), s.knobs.Nemesis, s.knobs.Time)
	t := tally{verdicts: map[harness.Verdict]int{}, unknownOK: s.unknownOK}
	begin, last, cpu := time.Now(), time.Now(), childrenCPU()
	sum, err := seeds.Run(ctx, seeds.Options{
		Command: command, Seeds: from(s.first, s.seeds), Workers: s.workers, Limit: s.limit, Procs: secondProcs, Recheck: s.recheck(),
		Done: func(o seeds.Outcome) bool {
			t.add(o)
			if text := t.remark(o); text != "" {
				a.tell("seed %d %s\n  repeat with: %s", o.Seed, text, s.repeat(o.Seed))
			}
			if time.Since(last) > lineEvery {
				last = time.Now()
				a.say("  %d of %d seeds, %.0f a minute, %d failures", t.seeds, s.seeds, float64(t.seeds)/time.Since(begin).Minutes(), t.failures)
			}
			return t.failures == 0 || s.keepGoing
		},
	})
	a.verdict = t.verdict(err)
	lo, hi := seeds.Interval(t.failures, t.seeds-t.verdicts[harness.Unknown])
	a.tell("%s: %d seeds: %d valid, %d unknown, %d failures; %d ran twice", strings.ToUpper(string(a.verdict)),
		t.seeds, t.verdicts[harness.Valid]+t.thin, t.verdicts[harness.Unknown], t.failures, sum.Rechecks)
	for _, e := range slices.Sorted(maps.Keys(t.missing)) {
		a.tell("  %d of the valid seeds did not show that which is required of a run by itself, and %d did: %s", t.missing[e], t.seen[e], e)
	}
	if never := t.never(); len(never) > 0 {
		a.tell("  it never happened in any seed, so the search proves little: %s", strings.Join(never, "; "))
	}
	a.tell("with 95 %% confidence, between %.2f %% and %.2f %% of all seeds fail", 100*lo, 100*hi)
	a.tell("figure sim_seeds_per_minute %.0f 1/min", sum.PerMinute())
	a.tell("figure sim_virtual_per_real %.0f s/s", t.virtual.Seconds()/max(sum.Took.Seconds(), 1e-3))
	a.tell("figure sim_cpu_per_seed %.1f ms", (childrenCPU()-cpu).Seconds()*1e3/float64(max(t.seeds+sum.Rechecks, 1)))
	if t.diverged > 0 {
		err = errors.Join(err, fmt.Errorf("%d seeds did not repeat", t.diverged))
	}
	return err
}

// childrenCPU is the time on processors that child processes have used that have ended.
func childrenCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tell prints a result.
func (a *app) tell(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format+"\n", args...) }

func from(first uint64, count int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range uint64(count) {
			if !yield(first + i) {
				return
			}
		}
	}
}

// A tally counts what became of seeds.
type tally struct {
	seeds    int
	verdicts map[harness.Verdict]int // of seeds that ended by themselves
	failures int                     // invalid, crashed, hung or diverged
	diverged int                     // did not repeat, whatever else is wrong with them
	found    int                     // failures but for those that only diverged
	virtual  time.Duration           // that passed in seeds that ended by themselves, second runs left out

	unknownOK bool // unknown seeds do not make the search unknown

	thin    int            // seeds that are valid but for required events
	missing map[string]int // thin seeds that lacked an event
	seen    map[string]int // seeds that showed it
}

func (t *tally) add(o seeds.Outcome) {
	t.seeds++
	if o.End == seeds.Passed || o.End == seeds.Failed {
		t.virtual += read(o).Virtual
	}
	if o.Differs {
		t.diverged++
	}
	switch o.End {
	case seeds.Passed:
		t.passed(read(o))
	case seeds.Diverged:
		t.failures++
	default:
		t.failures++
		t.found++
	}
}

// passed counts a seed that is no failure. A short run at a low rate cannot show all that a
// run has to: there the events are required of the search as a whole.
func (t *tally) passed(f finding) {
	if t.missing == nil {
		t.missing, t.seen = map[string]int{}, map[string]int{}
	}
	for _, e := range f.Seen {
		t.seen[e]++
	}
	if !f.Thin {
		t.verdicts[f.Verdict]++
		return
	}
	t.thin++
	for _, e := range f.Missing {
		t.missing[e]++
	}
}

// never lists the required events that no seed has shown.
func (t *tally) never() []string {
	var out []string
	for _, e := range slices.Sorted(maps.Keys(t.missing)) {
		if t.seen[e] == 0 {
			out = append(out, e)
		}
	}
	return out
}

// remark says what is wrong with a seed, or why it is unknown; nothing if it is valid.
func (t *tally) remark(o seeds.Outcome) string {
	text := found(o)
	switch {
	case !o.Differs:
		return text
	case o.Again == nil:
		return text + "\n  DIVERGED: of two runs one did not end by itself"
	case o.End == seeds.Diverged:
		return diverged(o)
	}
	return text + "\n  " + diverged(o)
}

func diverged(o seeds.Outcome) string {
	return fmt.Sprintf("DIVERGED: it ran twice and gave %x, then %x", o.Report.Sum, o.Again.Sum)
}

// found says what was found in a seed by its runs, each taken for itself.
func found(o seeds.Outcome) string {
	switch o.End {
	case seeds.Passed:
		if f := read(o); f.Verdict != harness.Valid && !f.Thin {
			return "UNKNOWN: " + strings.Join(f.Reasons, "; ")
		}
		return ""
	case seeds.Failed:
		if o.Report.Error != "" {
			return "COULD NOT BE RUN: " + o.Report.Error
		}
		return "INVALID: " + strings.Join(read(o).Reasons, "; ")
	case seeds.Diverged:
		return ""
	}
	return fmt.Sprintf("%s:\n%s", strings.ToUpper(o.End.String()), firstLines(culprits(o.Stderr), 60))
}

// verdict judges the search: a seed that is unknown proves nothing, and that must not
// look like a pass.
func (t *tally) verdict(err error) harness.Verdict {
	switch {
	case t.found > 0:
		return harness.Invalid
	case err != nil, t.diverged > 0, t.verdicts[harness.Valid]+t.thin == 0, len(t.never()) > 0, t.verdicts[harness.Unknown] > 0 && !t.unknownOK:
		return harness.Unknown
	}
	return harness.Valid
}

// read returns what a worker told of a seed.
func read(o seeds.Outcome) finding {
	var f finding
	if err := json.Unmarshal(o.Report.Data, &f); err != nil {
		return finding{Verdict: harness.Unknown, Reasons: []string{err.Error()}}
	}
	return f
}

// culprits picks from the stacks of all goroutines those that stop virtual time: they wait
// for a mutex. If there are none it is all the same who comes first.
func culprits(stacks string) string {
	var found []string
	for block := range strings.SplitSeq(stacks, "\n\n") {
		if head, _, _ := strings.Cut(block, "\n"); strings.HasPrefix(head, "goroutine ") && strings.Contains(head, "Mutex.") {
			found = append(found, block)
		}
	}
	if len(found) == 0 {
		return stacks
	}
	return strings.Join(found, "\n\n")
}

func firstLines(text string, n int) string {
	lines := strings.SplitN(text, "\n", n+1)
	if len(lines) > n {
		lines[n] = "..."
	}
	return "  " + strings.Join(lines, "\n  ")
}
