package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
	"cartwheel/harness/generator"
	"cartwheel/harness/history"
	"cartwheel/harness/runner"
	"cartwheel/nemesis"
)

// bed is a run to be changed by a test before it is played.
type bed struct {
	cluster *fake.Cluster
	store   *store
	options runner.Options
	history bytes.Buffer
}

func newBed(b bugs, seed uint64) *bed {
	d := &bed{cluster: fake.New(5), store: newStore(b)}
	d.options = runner.Options{
		Seed: seed, Workload: tags(), Target: d.store, Cluster: d.cluster, Journal: &d.history,
		Nemesis: nemesis.Compose(&nemesis.Partition{}, &nemesis.Pause{}),
	}
	return d
}

func (d *bed) run(t *testing.T) (harness.Result, []harness.Op, error) {
	t.Helper()
	res, err := runner.Run(t.Context(), d.options)
	h, _, rerr := history.Read(bytes.NewReader(d.history.Bytes()))
	if rerr != nil {
		t.Fatal(rerr)
	}
	return res, h, err
}

// knowing is a store that knows who has which role.
type knowing struct {
	*store
	find func(harness.Role) ([]harness.NodeID, error)
}

func (k knowing) Find(_ context.Context, _ harness.Cluster, r harness.Role) ([]harness.NodeID, error) {
	return k.find(r)
}

// A fault that names a role is resolved when it strikes; the history keeps both.
func TestARoleIsResolvedWhenTheFaultStrikes(t *testing.T) {
	for _, tt := range []struct {
		name string
		find func(asked int, r harness.Role) ([]harness.NodeID, error)
		want string // a reason
	}{
		{name: "at once", find: func(int, harness.Role) ([]harness.NodeID, error) { return []harness.NodeID{"n3"}, nil }},
		{name: "nobody at first", find: func(asked int, _ harness.Role) ([]harness.NodeID, error) {
			if asked < 5 {
				return nil, nil
			}
			return []harness.NodeID{"n3"}, nil
		}},
		{name: "nobody", find: func(int, harness.Role) ([]harness.NodeID, error) { return nil, nil }, want: "no node was coordinator in time"},
		{name: "unknown", find: func(int, harness.Role) ([]harness.NodeID, error) { return nil, errors.New("ring is gone") }, want: "ring is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newBed(bugs{}, 1)
				asked := 0
				d.options.Target = knowing{d.store, func(r harness.Role) ([]harness.NodeID, error) {
					if asked++; r.Key == "" {
						t.Error("asked for the coordinator of no key")
					}
					return tt.find(asked, r)
				}}
				d.options.Nemesis = &nemesis.Pause{Names: []string{"coordinator"}}
				res, _, err := d.run(t)
				if err != nil || (tt.want == "") != (res.Verdict == harness.Valid) || !strings.Contains(reasons(res), tt.want) {
					t.Fatalf("%v: %s\n%s", err, res.Verdict, reasons(res))
				}
				for _, f := range res.Faults {
					if r := f.Fault.Role; r == nil || r.Name != "coordinator" || tt.want == "" && (r.Key == "" || !slices.Equal(f.Fault.Nodes, []harness.NodeID{"n3"})) {
						t.Errorf("the history has %+v", f.Fault)
					}
				}
				if len(res.Faults) == 0 || res.Plan.Schedule[0].Nodes != nil {
					t.Errorf("%d faults, planned %+v", len(res.Faults), res.Plan.Schedule)
				}
			})
		})
	}
}

// slow takes its time to inject faults, as a busy machine does.
type slow struct {
	harness.Nemesis
	by time.Duration
}

func (s slow) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	time.Sleep(s.by)
	return s.Nemesis.Inject(ctx, c, f, now)
}

// A fault that strikes when it should be healed already is in force for half of its time, or for two seconds.
func TestAFaultThatStrikesLateIsInForceAllTheSame(t *testing.T) {
	for _, lasts := range []time.Duration{2 * time.Second, 8 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			d := newBed(bugs{}, 1)
			d.options.Nemesis = slow{&nemesis.Pause{}, 9 * time.Second}
			d.options.Schedule = []harness.Fault{{ID: "f1", Kind: nemesis.PauseKind, Name: "one", Nodes: []harness.NodeID{"n2"}, Start: time.Second, Stop: time.Second + lasts}}
			res, _, err := d.run(t)
			if err != nil || len(res.Faults) != 1 {
				t.Fatalf("%v: %+v", err, res.Faults)
			}
			e := res.Faults[0].Evidence
			held, want := e.Healed-e.Injected, min(lasts/2, 2*time.Second)
			if !e.Proven() || held < want || held > want+time.Second || e.Injected < 10*time.Second {
				t.Errorf("planned for %v: in force from %v for %v, want %v; %+v", lasts, e.Injected, held, want, e)
			}
		})
	}
}

// Where the load may go on for it, one that strikes after the load's time meets operations. Otherwise the load ends when its time is up.
func TestALoadGoesOnForFaultsThatStrikeLate(t *testing.T) {
	for _, overtime := range []time.Duration{0, 3 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			d := newBed(bugs{}, 1)
			d.options.Time, d.options.Overtime = 10*time.Second, overtime
			d.options.Nemesis = slow{&nemesis.Pause{}, 9 * time.Second}
			d.options.Schedule = []harness.Fault{{ID: "f1", Kind: nemesis.PauseKind, Name: "one", Nodes: []harness.NodeID{"n2"}, Start: 5 * time.Second, Stop: 7 * time.Second}}
			res, h, err := d.run(t)
			if err != nil || len(res.Faults) != 1 {
				t.Fatalf("%v: %+v", err, res.Faults)
			}
			last := 0 * time.Second
			for _, op := range h {
				if op.Phase == harness.Load && op.Kind == harness.Invoke && op.Process >= 0 {
					last = op.Time
				}
			}
			// It strikes at 14s, and is in force for one.
			want := min(10*time.Second+overtime, 15*time.Second)
			if last > want+time.Second || last < want-time.Second {
				t.Errorf("with %v of overtime the last operation began at %v, want about %v", overtime, last, want)
			}
			if e := res.Faults[0].Evidence; overtime > 5*time.Second && e.Healed-e.Injected < time.Second {
				t.Errorf("in force from %v to %v", e.Injected, e.Healed)
			}
		})
	}
}

func reasons(res harness.Result) string { return strings.Join(res.Reasons, "\n") }

func TestAGoodRunIsValidAndWasHard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 7)
		res, h, err := d.run(t)
		if err != nil || res.Verdict != harness.Valid {
			t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
		if err := history.Validate(h); err != nil {
			t.Fatal(err)
		}
		if len(res.Faults) < 4 || len(res.Faults) != len(res.Plan.Schedule) || res.Stats.OK < 500 {
			t.Fatalf("%d faults of %d, %+v", len(res.Faults), len(res.Plan.Schedule), res.Stats)
		}
		for _, f := range res.Faults {
			if !f.Evidence.Proven() || f.Ops == 0 || f.Evidence.Injected < f.Fault.Start || f.Evidence.Healed < f.Fault.Stop {
				t.Errorf("fault %+v", f)
			}
		}
		var phases []harness.Phase
		for _, p := range res.Phases {
			phases = append(phases, p.Phase)
		}
		if !reflect.DeepEqual(phases, []harness.Phase{harness.Load, harness.Settle, harness.Final}) {
			t.Errorf("phases %v", phases)
		}
		if running, starts := d.cluster.Running(); running || starts != 1 {
			t.Errorf("running %t after %d starts", running, starts)
		}
		if !d.cluster.Healthy() {
			t.Error("the cluster is not healed")
		}
	})
}

func TestOneSeedGivesOneHistory(t *testing.T) {
	play := func(seed uint64, procs int, change func(*runner.Options)) (out string) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		synctest.Test(t, func(t *testing.T) {
			d := newBed(bugs{}, seed)
			d.options.Concurrency = 20
			change(&d.options)
			if _, _, err := d.run(t); err != nil {
				t.Fatal(err)
			}
			out = d.history.String()
		})
		return out
	}
	for _, tt := range []struct {
		name   string
		change func(*runner.Options)
	}{
		{"spaced", func(o *runner.Options) { o.Rate, o.Time = 100, 6*time.Second }},
		// All threads begin at once, and those of paused nodes reach their deadlines.
		{"crowded", func(o *runner.Options) { o.Rate, o.Time, o.OpTimeout = 1e9, 150*time.Millisecond, 30*time.Millisecond }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(2) {
				first := play(seed, 2, tt.change)
				apart(t, first)
				for _, procs := range []int{1, 8} {
					if again := play(seed, procs, tt.change); again != first {
						t.Fatalf("seed %d differs at GOMAXPROCS %d: %s", seed, procs, difference(first, again))
					}
				}
			}
			if play(1, 2, tt.change) == play(2, 2, tt.change) {
				t.Error("two seeds give the same history")
			}
		})
	}
}

// apart checks that no two operations begin at the same instant: they would tie again
// at their deadlines, and ties are decided by chance.
func apart(t *testing.T, journal string) {
	t.Helper()
	h, _, err := history.Read(strings.NewReader(journal))
	if err != nil {
		t.Fatal(err)
	}
	last := time.Duration(-1)
	for _, op := range h {
		if op.Process >= 0 && op.Kind == harness.Invoke {
			if op.Time == last {
				t.Fatalf("two operations begin at %v", last)
			}
			last = op.Time
		}
	}
}

func difference(first, again string) string {
	a, b := strings.Split(first, "\n"), strings.Split(again, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d:\n%s\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a), len(b))
}

func TestARunInRealTimeIsAllTheSame(t *testing.T) {
	d := newBed(bugs{}, 7)
	d.options.Nemesis, d.options.Time, d.options.Rate = nil, 300*time.Millisecond, 1000
	res, h, err := d.run(t)
	if err != nil || res.Verdict != harness.Valid {
		t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkJournaledOperations measures the runner alone: operations take no time.
func BenchmarkJournaledOperations(b *testing.B) {
	d := newBed(bugs{}, 7)
	d.options.Nemesis, d.options.Time, d.options.Concurrency = nil, time.Hour, 20
	d.options.Dir, d.options.Journal = b.TempDir(), nil
	d.options.Workload.Generator = func(harness.Setup) harness.Generator {
		return generator.Limit(b.N, generator.Func(func(harness.GenContext, int) harness.Op {
			return harness.Op{F: harness.Get, Key: "k"}
		}))
	}
	d.options.Workload.Invoke = func(_ context.Context, _ harness.Client, op harness.Op) harness.Op {
		return harness.Complete(op, nil)
	}
	if rec, err := runner.Play(b.Context(), d.options); err != nil || len(rec.History) < 2*b.N {
		b.Fatalf("%v", err)
	}
}

// TestVerdicts: each way in which a run can go wrong has its verdict and its reason.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bugs    bugs
		defects func(*fake.Defects)
		change  func(*runner.Options)
		verdict harness.Verdict
		reason  string
		fails   string // Run's error
	}{
		{name: "good", verdict: harness.Valid, reason: "found nothing wrong"},
		{name: "lost writes", bugs: bugs{forgets: true}, verdict: harness.Invalid, reason: "an acknowledged write is missing"},
		{
			name: "lost writes although faults did not bite", bugs: bugs{forgets: true}, verdict: harness.Invalid,
			defects: func(d *fake.Defects) { d.MendIdle = true }, reason: "an acknowledged write is missing",
		},
		{
			name: "cuts do not bite", defects: func(d *fake.Defects) { d.CutIdle = true },
			verdict: harness.Unknown, reason: "(partition ",
		},
		{
			name: "pauses do not bite", defects: func(d *fake.Defects) { d.PauseIdle = true },
			verdict: harness.Unknown, reason: "is not paused",
		},
		{name: "never quiet", bugs: bugs{neverWell: true}, verdict: harness.Unknown, reason: "did not become quiet: n2 still holds a hint"},
		{
			name: "nothing succeeds", bugs: bugs{refuses: true}, verdict: harness.Unknown, reason: "no operation succeeded",
			change: func(o *runner.Options) { o.Nemesis = nil },
		},
		{
			name: "no clients", bugs: bugs{noClient: true}, verdict: harness.Unknown, reason: "no operation succeeded",
			change: func(o *runner.Options) { o.Nemesis = nil },
		},
		{
			name: "nothing is done", verdict: harness.Unknown, reason: "no client did anything",
			change: func(o *runner.Options) {
				o.Workload.Generator = func(harness.Setup) harness.Generator { return generator.Seq() }
			},
		},
		{
			name: "faults come too late", verdict: harness.Unknown, reason: "fault f1 (pause one) was never injected",
			change: func(o *runner.Options) {
				o.Schedule = []harness.Fault{{ID: "f1", Kind: "pause", Name: "one", Start: time.Hour, Stop: 2 * time.Hour, Nodes: []harness.NodeID{"n1"}}}
			},
		},
		{
			name: "a nemesis without faults", verdict: harness.Unknown, reason: "had no fault to inject",
			change: func(o *runner.Options) { o.Schedule = []harness.Fault{} },
		},
		{name: "no checkers", change: func(o *runner.Options) { o.Workload.Checkers = nil }, verdict: harness.Unknown, reason: "nothing was checked"},
		{name: "a broken checker", change: func(o *runner.Options) { o.Workload = tags(broken) }, verdict: harness.Unknown, reason: "off by one"},
		{name: "a slow checker", change: func(o *runner.Options) { o.Workload = tags(lazy) }, verdict: harness.Unknown, reason: "ran out of time"},
		{
			name: "an event is missing", verdict: harness.Unknown, reason: "it never happened that pigs flew",
			change: func(o *runner.Options) {
				o.Workload.Events = []harness.Event{
					{Name: "pigs flew", Count: func([]harness.Op) int { return 0 }},
					{Name: "hell froze", Count: func([]harness.Op) int { return 0 }, Needs: func(harness.Plan) bool { return false }},
				}
			},
		},
		{
			name: "an event that cannot be counted", verdict: harness.Unknown, reason: "index out of range",
			change: func(o *runner.Options) {
				o.Workload.Events = []harness.Event{{Name: "x", Count: func([]harness.Op) int { return int([]int{}[0:][0]) }}}
			},
		},
		{
			name: "a workload that changes its operations", verdict: harness.Unknown, reason: `changed the operation it was to do: key was`,
			change: func(o *runner.Options) {
				invoke := o.Workload.Invoke
				o.Workload.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
					op = invoke(ctx, c, op)
					op.Key = "elsewhere"
					return op
				}
			},
		},
		{
			name: "a workload that panics", verdict: harness.Unknown, reason: "workload tags: panic: oh no",
			change: func(o *runner.Options) {
				o.Workload.Invoke = func(context.Context, harness.Client, harness.Op) harness.Op { panic("oh no") }
			},
		},
		{
			name: "a generator that panics", verdict: harness.Unknown, reason: "cut short", fails: "ask generator: panic",
			change: func(o *runner.Options) {
				o.Workload.Generator = func(harness.Setup) harness.Generator {
					return generator.Func(func(harness.GenContext, int) harness.Op { panic("dice lost") })
				}
			},
		},
		{name: "a node does not come up", bugs: bugs{notReady: true}, verdict: harness.Unknown, reason: "cut short", fails: "wait for n1 to serve: still booting"},
		{
			name: "the cluster does not start", defects: func(d *fake.Defects) { d.Start = errors.New("no engine") },
			verdict: harness.Unknown, reason: "cut short", fails: "no engine",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newBed(tt.bugs, 14)
				d.options.Time = 15 * time.Second
				if tt.defects != nil {
					d.cluster.Break(tt.defects)
				}
				if tt.change != nil {
					tt.change(&d.options)
				}
				res, _, err := d.run(t)
				if (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, want %q", err, tt.fails)
				}
				if res.Verdict != tt.verdict || !strings.Contains(reasons(res), tt.reason) {
					t.Fatalf("%s, want %s with %q:\n%s", res.Verdict, tt.verdict, tt.reason, reasons(res))
				}
				if strings.Contains(reasons(res), "hell froze") {
					t.Error("an event that this plan cannot bring about was required")
				}
				if running, _ := d.cluster.Running(); running {
					t.Error("the cluster was left running")
				}
			})
		})
	}
}

// A journal that could not be made durable is found out when all lines are written.
func TestATroubledRunIsNeverValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 7)
		rec, err := runner.Play(t.Context(), d.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			trouble error
			want    harness.Verdict
		}{{nil, harness.Valid}, {errors.New("sync history: disk full"), harness.Unknown}} {
			rec.Trouble = c.trouble
			res, err := runner.Conclude(t.Context(), d.options, rec)
			if err != nil || res.Verdict != c.want || c.trouble != nil && res.Reasons[0] != c.trouble.Error() {
				t.Errorf("trouble %v: got %v, %s, want %s:\n%s", c.trouble, err, res.Verdict, c.want, reasons(res))
			}
		}
	})
}

// What cut a run short is in no history, so it is told again from the stored verdict.
func TestAJudgementKeepsWhatCutTheRunShort(t *testing.T) {
	d := newBed(bugs{}, 7)
	d.options.Dir = t.TempDir()
	var rec *runner.Recording
	synctest.Test(t, func(t *testing.T) {
		var err error
		if rec, err = runner.Play(t.Context(), d.options); err != nil {
			t.Fatal(err)
		}
	})
	rec.Trouble = errors.New("sync history: disk full")
	before, err := runner.Conclude(t.Context(), d.options, rec)
	if err != nil {
		t.Fatal(err)
	}
	find := func(harness.Plan) (harness.Workload, error) { return tags(), nil }
	after, _, err := runner.JudgeDir(t.Context(), rec.Dir, find, time.Minute)
	if err != nil || after.Verdict != harness.Unknown || after.Reasons[0] != rec.Trouble.Error() || reasons(after) != reasons(before) {
		t.Errorf("got %v, %s:\n%s\nwant\n%s", err, after.Verdict, reasons(after), reasons(before))
	}
	if err := os.WriteFile(filepath.Join(rec.Dir, "verdict.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runner.JudgeDir(t.Context(), rec.Dir, find, time.Minute); !errors.Is(err, runner.ErrStored) {
		t.Errorf("a damaged verdict: got %v", err)
	}
}

func TestRefusalsComeBeforeTheClusterStarts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*runner.Options)
		want   string
	}{
		{"no capability", func(o *runner.Options) { o.Cluster = bare{o.Cluster} }, "cannot cut links"},
		{"no target", func(o *runner.Options) { o.Target = nil }, "no target"},
		{"no workload", func(o *runner.Options) { o.Workload = harness.Workload{} }, "has no generator"},
		{"a schedule for nobody", func(o *runner.Options) { o.Nemesis, o.Schedule = nil, []harness.Fault{{ID: "f1"}} }, "no nemesis to play it"},
		{"a home that is no node", func(o *runner.Options) { o.Concurrency, o.Homes = 1, []harness.NodeID{"n9"} }, `"n9"`},
		{"too few homes", func(o *runner.Options) { o.Concurrency, o.Homes = 3, []harness.NodeID{"n1", "n1"} }, "nodes for 2"},
		{"one id twice", func(o *runner.Options) { o.Schedule = []harness.Fault{{ID: "f1"}, {ID: "f1"}} }, `"f1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newBed(bugs{}, 1)
			tt.change(&d.options)
			res, _, err := d.run(t)
			if !errors.Is(err, runner.ErrRefused) || !strings.Contains(err.Error(), tt.want) || res.Verdict != harness.Unknown {
				t.Fatalf("%v (%s), want a refusal with %q", err, res.Verdict, tt.want)
			}
			if _, starts := d.cluster.Running(); starts != 0 {
				t.Fatal("the cluster was started")
			}
		})
	}
}

type bare struct{ harness.Cluster }

// What does not heed its context cannot hang a run: it ends, says so, and keeps what the harness was doing.
func TestARunThatStallsEndsAsUnknown(t *testing.T) {
	dir := t.TempDir() // removed when all that was left to itself has ended
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{stuckLook: true}, 1)
		d.options.Time, d.options.StallAfter, d.options.Dir = 10*time.Second, 5*time.Second, dir
		began := time.Now()
		defer close(d.store.stuck) // the leak ends after the run
		res, h, err := d.run(t)
		if !errors.Is(err, runner.ErrStalled) || res.Verdict != harness.Unknown || !strings.Contains(res.Reasons[0], `stalled: nothing was recorded for 1m5s in the phase "settle"`) {
			t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
		if took := time.Since(began); took > 5*time.Minute || len(h) < 20 {
			t.Errorf("it took %v, with %d lines", took, len(h))
		}
		if stacks, err := os.ReadFile(filepath.Join(res.Dir, "goroutines.txt")); err != nil || !bytes.Contains(stacks, []byte("(*store).Quiet")) {
			t.Errorf("goroutines: %d bytes, %v", len(stacks), err)
		}
		if running, _ := d.cluster.Running(); running {
			t.Error("the cluster runs on")
		}
	})
}

// A run that has what it needs is not disturbed by the watch.
func TestAWatchedRunIsTheSameRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 1)
		d.options.StallAfter = time.Second
		if res, _, err := d.run(t); err != nil || res.Verdict != harness.Valid {
			t.Errorf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
	})
}

func TestAStuckClientBecomesInfoAndItsThreadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{stuckPut: 5}, 3)
		d.options.Nemesis, d.options.Concurrency = nil, 5
		d.options.StopLimit = time.Second
		time.AfterFunc(2*time.Minute, func() { close(d.store.stuck) }) // the leak ends after the run
		res, h, err := d.run(t)
		if err != nil || res.Verdict != harness.Unknown || !strings.Contains(reasons(res), "a client has not returned") {
			t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
		var gone *harness.Op
		var after int
		for _, op := range h {
			switch {
			case op.Kind == harness.Info && op.Process >= 0:
				gone = &op
			case gone != nil && op.Process == gone.Process+5 && op.Kind == harness.OK:
				after++
			}
		}
		if gone == nil || !strings.Contains(gone.Error, "did not return within 1s") || after < 20 {
			t.Fatalf("info %+v, then %d operations of the next process", gone, after)
		}
		for _, p := range history.Pairs(h) {
			if h[p.Completion].Index == gone.Index && gone.Time-h[p.Invoke].Time != 4*time.Second {
				t.Fatalf("given up after %v, want the deadline and its grace", gone.Time-h[p.Invoke].Time)
			}
		}
		time.Sleep(3 * time.Minute)
	})
}

func TestAnInfoReplacesTheProcessAndItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 3)
		d.options.Nemesis, d.options.Concurrency, d.options.Rate = nil, 2, 10
		puts := 0
		d.options.Workload.Invoke = func(_ context.Context, _ harness.Client, op harness.Op) harness.Op {
			if puts++; puts%10 == 0 && op.F == harness.Put {
				return harness.Complete(op, errors.New("who knows"))
			}
			return harness.Complete(op, nil)
		}
		_, h, err := d.run(t)
		if err != nil {
			t.Fatal(err)
		}
		infos, highest := 0, 0
		for _, op := range h {
			highest = max(highest, op.Process)
			if op.Process >= 0 && op.Kind == harness.Info {
				infos++
			}
		}
		if infos < 3 || highest < 3 || d.store.opened < infos+1 || d.store.opened > infos+2 {
			t.Fatalf("%d infos, processes up to %d, %d clients opened", infos, highest, d.store.opened)
		}
		if err := history.Validate(h); err != nil {
			t.Fatal(err)
		}
	})
}

func TestThreadsTalkToTheirHomes(t *testing.T) {
	homes := []harness.NodeID{"n3", "n3", "n1"}
	for _, given := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newBed(bugs{}, 1)
			d.options.Nemesis, d.options.Time, d.options.Concurrency = nil, 5*time.Second, len(homes)
			want := d.options.Cluster.Nodes()[:len(homes)]
			if given {
				d.options.Homes, want = homes, homes
			}
			_, h, err := d.run(t)
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[int]bool)
			for _, op := range h {
				if op.Process < 0 {
					continue
				}
				if seen[op.Process%3] = true; op.Node != want[op.Process%3] {
					t.Fatalf("thread %d asked %s, want %s", op.Process%3, op.Node, want[op.Process%3])
				}
			}
			if len(seen) != len(homes) {
				t.Errorf("threads %v did something, want all of %d", seen, len(homes))
			}
		})
	}
}

func TestAnInterruptedRunHealsStopsAndSaysWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 4)
		d.options.Dir = t.TempDir()
		d.options.Schedule = []harness.Fault{{
			ID: "f1", Kind: "partition", Name: "x", Start: 2 * time.Second, Stop: 25 * time.Second,
			Links: []harness.Link{{From: "n1", To: "n2"}},
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		res, err := runner.Run(ctx, d.options)
		if !errors.Is(err, context.Canceled) || res.Verdict != harness.Unknown || !strings.Contains(reasons(res), "cut short") {
			t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
		if !strings.Contains(res.Reasons[0], "interrupted") {
			t.Errorf("the headline is %q, want why it was cut short", res.Reasons[0])
		}
		if stored, err := os.ReadFile(filepath.Join(res.Dir, "verdict.json")); err != nil || !strings.Contains(string(stored), "interrupted") {
			t.Errorf("the stored verdict does not say why: %v\n%s", err, stored)
		}
		if running, _ := d.cluster.Running(); running || !d.cluster.Healthy() {
			t.Fatalf("running %t, healed %t", running, d.cluster.Healthy())
		}
		if len(res.Faults) != 1 || !res.Faults[0].Evidence.Proven() || res.Stats.OK < 100 {
			t.Fatalf("faults %+v, %+v", res.Faults, res.Stats)
		}
		for _, name := range []string{"verdict.json", "history.jsonl", "junit.xml", "logs/n5.log"} {
			if _, err := os.Stat(filepath.Join(res.Dir, name)); err != nil {
				t.Error(err)
			}
		}
	})
}

// A recording cluster has packets of some nodes.
type recording struct {
	*fake.Cluster
	on bool
}

func (r recording) Captures() bool { return r.on }

func (r recording) Capture(_ context.Context, n harness.NodeID, w io.Writer) error {
	if running, _ := r.Running(); !running || n == "n2" {
		return errors.New("no packets")
	}
	_, err := io.WriteString(w, "packets of "+string(n))
	return err
}

func TestPacketsAreKeptIfTheyAreRecordedAndChangeNoVerdict(t *testing.T) {
	for _, on := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newBed(bugs{}, 4)
			d.options.Dir, d.options.Time = t.TempDir(), 5*time.Second
			d.options.Cluster = recording{d.cluster, on}
			res, err := runner.Run(t.Context(), d.options)
			if err != nil || res.Verdict == harness.Invalid {
				t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
			}
			got, err := os.ReadFile(filepath.Join(res.Dir, "n1.pcap"))
			if want := "packets of n1"; on && string(got) != want || !on && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("recorded %t: got %q, %v, want %q or no file", on, got, err, want)
			}
			if _, err := os.Stat(filepath.Join(res.Dir, "n2.pcap")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("recorded %t: got %v, want no file of a node without packets", on, err)
			}
		})
	}
}

// A cluster that does not start is the whole story: what follows from it is noise.
func TestARunThatDoesNotStartSaysWhyAndNoMore(t *testing.T) {
	d := newBed(bugs{}, 4)
	d.options.Dir = t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no room"))
	res, err := runner.Run(ctx, d.options)
	if err == nil || res.Verdict != harness.Unknown || len(res.Reasons) != 2 || !strings.Contains(err.Error(), res.Reasons[0]) {
		t.Errorf("%v, %s: %q", err, res.Verdict, res.Reasons)
	}
}

func TestFinalPhaseReadsAgainWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{forgets: true}, 11)
		time.AfterFunc(32*time.Second, func() { // repair comes late, but it comes
			d.store.mu.Lock()
			d.store.bugs.forgets = false
			d.store.mu.Unlock()
			_, _ = d.store.Quiet(t.Context(), d.cluster)
		})
		res, h, err := d.run(t)
		if err != nil || res.Verdict != harness.Valid {
			t.Fatalf("%v, %s: %s", err, res.Verdict, reasons(res))
		}
		rounds := make(map[string]int)
		for _, op := range h {
			if op.F == harness.ReplicaRead && op.Kind == harness.OK && op.Node == "n1" {
				rounds[op.Key]++
			}
		}
		var once, again int
		for _, n := range rounds {
			if n == 1 {
				once++
			} else {
				again++
			}
		}
		if once == 0 || again == 0 {
			t.Fatalf("%d keys read once, %d again: want only those that differ read again", once, again)
		}
	})
}

func TestTheFolderTellsEverythingAndIsJudgedAlike(t *testing.T) {
	for _, b := range []bugs{{}, {forgets: true}, {neverWell: true}} {
		t.Run(fmt.Sprintf("%+v", b), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFolder(t, b) })
		})
	}
}

func testFolder(t *testing.T, b bugs) {
	d := newBed(b, 11)
	root := t.TempDir()
	d.options.Dir, d.options.Suite, d.options.Mutant, d.options.Repeat = root, "a suite/1", "M48", "cartwheel test --seed 11"
	d.options.Started = time.Date(2026, 11, 22, 21, 4, 9, 0, time.UTC) // the bubble's time is its own
	var planned, reported string
	d.options.Planned = func(p harness.Plan, dir string) {
		if _, starts := d.cluster.Running(); starts > 0 || len(p.Schedule) == 0 {
			t.Errorf("the plan of %d faults came after %d starts", len(p.Schedule), starts)
		}
		planned = dir
	}
	d.options.Report = func(dir string, res harness.Result, h []harness.Op) error {
		reported = fmt.Sprint(dir, res.Verdict, len(h) > 100)
		return nil
	}
	res, h, err := d.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if planned != res.Dir || reported != fmt.Sprint(res.Dir, res.Verdict, true) {
		t.Errorf("planned in %q, reported %q", planned, reported)
	}
	if want := filepath.Join(root, "20261122T210409Z-a-suite-1-11"); res.Dir != want || !res.Started.Equal(d.options.Started) {
		t.Errorf("folder %q, want %q; started %v", res.Dir, want, res.Started)
	}
	if link, err := os.Readlink(filepath.Join(root, "latest")); err != nil || link != filepath.Base(res.Dir) {
		t.Errorf("latest points to %q: %v", link, err)
	}
	for _, name := range []string{"schedule.json", "verdict.json", "junit.xml", "logs/n1.log"} {
		if data, err := os.ReadFile(filepath.Join(res.Dir, name)); err != nil || len(data) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var stored harness.Result
	data, err := os.ReadFile(filepath.Join(res.Dir, "verdict.json"))
	if err = errors.Join(err, json.Unmarshal(data, &stored)); err != nil {
		t.Fatal(err)
	}
	if stored.Plan.Mutant != "M48" {
		t.Errorf("the plan does not tell of the planted bug: %+v", stored.Plan)
	}
	again, h2, err := runner.JudgeDir(t.Context(), res.Dir, func(p harness.Plan) (harness.Workload, error) {
		if p.Workload != "tags" {
			return harness.Workload{}, fmt.Errorf("workload %q", p.Workload)
		}
		return tags(), nil
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(h, h2) {
		t.Error("the stored history differs from the journal")
	}
	stored.Dir = again.Dir
	was, _ := json.Marshal(stored)
	is, _ := json.Marshal(again)
	if !bytes.Equal(was, is) {
		t.Errorf("judged again:\n%s\nbefore:\n%s", is, was)
	}
}

func TestAHistoryFileAloneCanBeJudged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "found.jsonl")
	lines := `{"index":0,"time":1,"process":0,"kind":"invoke","f":"put","key":"k","value":"v","node":"n2"}
{"index":1,"time":2,"process":0,"kind":"ok","f":"put","key":"k","value":"v","node":"n2"}
`
	if err := os.WriteFile(path, []byte(lines+lines[:30]), 0o644); err != nil {
		t.Fatal(err)
	}
	find := func(harness.Plan) (harness.Workload, error) { return tags(), nil }
	res, h, err := runner.JudgeDir(t.Context(), path, find, time.Minute)
	if err != nil || res.Verdict != harness.Valid || len(h) != 2 || !slices.Equal(res.Plan.Nodes, []harness.NodeID{"n2"}) {
		t.Fatalf("%v, %+v", err, res)
	}
	if !strings.Contains(reasons(res), "line 3 is cut short") {
		t.Errorf("reasons %q do not tell of the broken line", res.Reasons)
	}
	if err := os.WriteFile(path, []byte(lines+lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if res, _, err := runner.JudgeDir(t.Context(), path, find, time.Minute); err != nil || res.Verdict != harness.Unknown || !strings.Contains(reasons(res), "malformed") {
		t.Fatalf("a malformed history: %v, %s %q", err, res.Verdict, res.Reasons)
	}
}

func TestACheckerThatIgnoresItsBudgetDoesNotHoldUpTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res := runner.Judge(t.Context(), harness.Plan{}, tags(deaf), nil, time.Minute)
		if f := res.Findings[1]; f.Verdict != harness.Unknown || !strings.Contains(f.Summary, "did not return within its budget of 1m0s") {
			t.Fatalf("got %+v", f)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestProgressTellsOfEveryPhaseAndFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBed(bugs{}, 7)
		var seen []runner.Progress
		d.options.Progress = func(p runner.Progress) { seen = append(seen, p) }
		res, _, err := d.run(t)
		if err != nil {
			t.Fatal(err)
		}
		phases := make(map[harness.Phase]int)
		var struck, active int
		var fastest float64
		for _, p := range seen {
			phases[p.Phase]++
			fastest = max(fastest, p.OpsPerSecond)
			if strings.Contains(p.Note, "struck") {
				struck++
			}
			active = max(active, len(p.Active))
		}
		if phases[harness.Load] < 60 || phases[runner.Starting] == 0 || phases[runner.Judging] != 1 || struck != len(res.Faults) || active == 0 {
			t.Fatalf("phases %v, %d strikes of %d, %d active", phases, struck, len(res.Faults), active)
		}
		if fastest < 30 || fastest > 120 {
			t.Errorf("fastest %f operations a second, at a rate of 50", fastest)
		}
	})
}

func TestJUnitCountsUnknownAsAnError(t *testing.T) {
	var buf bytes.Buffer
	err := runner.JUnit(&buf, harness.Result{
		Plan: harness.Plan{Suite: "s"}, Verdict: harness.Invalid, Reasons: []string{"a <b> & \x01c"},
		Findings: []harness.Finding{{Checker: "good", Verdict: harness.Valid}, {Checker: "bad", Verdict: harness.Invalid}, {Checker: "dunno", Verdict: harness.Unknown}},
	})
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
	}
	if err = errors.Join(err, xml.Unmarshal(buf.Bytes(), &got)); err != nil {
		t.Fatalf("%v in %s", err, buf.String())
	}
	if got.Tests != 4 || got.Failures != 2 || got.Errors != 1 {
		t.Fatalf("got %+v", got)
	}
}

// An echo judges by the plan that it was told.
type echo struct{ plan harness.Plan }

func (e echo) Name() string { return "echo" }

func (e echo) Brief(p harness.Plan) harness.Checker { return echo{p} }

func (e echo) Check(context.Context, []harness.Op) harness.Finding {
	f := harness.Finding{Verdict: harness.Valid, Summary: e.plan.World}
	if e.plan.Read.R != 7 {
		f.Verdict = harness.Invalid
	}
	return f
}

func TestACheckerIsToldThePlan(t *testing.T) {
	p := harness.Plan{World: "sim", Read: harness.ReadOptions{R: 7}}
	w := harness.Workload{Checkers: []harness.Checker{echo{}}}
	f := runner.Judge(t.Context(), p, w, nil, time.Second).Findings
	if len(f) != 1 || f[0].Verdict != harness.Valid || f[0].Summary != "sim" {
		t.Errorf("got %+v, want what the plan says", f)
	}
	if got := w.Checkers[0].(echo).plan; got.World != "" {
		t.Errorf("the workload's own checker was changed: %+v", got)
	}
}
