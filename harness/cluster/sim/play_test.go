package sim_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/runner"
	"cartwheel/harness/target/cartwheel"
	"cartwheel/harness/trace"
	"cartwheel/nemesis"
	"cartwheel/workloads/cart"
	"cartwheel/workloads/register"
)

// workloads are what the scenarios do, judged by what every workload promises.
func workloads() []harness.Workload {
	perform := func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, harness.ReadOptions{}, harness.WriteOptions{})
	}
	checkers := []harness.Checker{checker.Sanity(), checker.LostWrites(), checker.Convergence()}
	return []harness.Workload{
		{Name: "cart", Generator: cart.Generator, Invoke: perform, Checkers: checkers},
		{Name: "register", Generator: register.Generator, Invoke: perform, Checkers: checkers},
	}
}

// scenario is a small run of a workload under partitions and pauses.
func scenario(seed uint64, w harness.Workload) (func() (*sim.Cluster, error), runner.Options) {
	fresh := func() (*sim.Cluster, error) { return sim.NewStore(sim.Options{Seed: seed}, nil) }
	return fresh, runner.Options{
		Seed: seed, Workload: w, Nemesis: nemesis.Compose(new(nemesis.Partition), new(nemesis.Pause)),
		Target: cartwheel.Seeded(sim.Names(seed)), Time: 20 * time.Second, Rate: 15,
	}
}

func play(t *testing.T, seed uint64, w harness.Workload) (history []byte, rec *sim.Recording) {
	t.Helper()
	var journal bytes.Buffer
	fresh, o := scenario(seed, w)
	o.Journal = &journal
	rec, err := sim.Play(t.Context(), fresh, o)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Bytes(), rec
}

func TestAWholeRunReplaysToTheByte(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, w := range workloads() {
		sums := map[wire.Tally]bool{}
		for seed := range uint64(2) {
			runtime.GOMAXPROCS(1)
			first, rec := play(t, seed, w)
			faults := 0
			for _, op := range rec.History {
				if op.Process == harness.NemesisProcess {
					faults++
				}
			}
			if faults < 4 || len(rec.History) < 200 {
				t.Errorf("%s, seed %d: %d lines with %d of faults: too little happened", w.Name, seed, len(rec.History), faults)
			}
			runtime.GOMAXPROCS(8)
			again, rec2 := play(t, seed, w)
			if !bytes.Equal(again, first) || rec2.Tally != rec.Tally {
				t.Errorf("%s, seed %d at GOMAXPROCS 8: %+v, then %+v\n%s", w.Name, seed, rec.Tally, rec2.Tally, parting(first, again))
			}
			sums[rec.Tally] = true
		}
		if len(sums) != 2 {
			t.Errorf("%s: 2 seeds gave %d runs", w.Name, len(sums))
		}
	}
}

// parting shows where two journals part.
func parting(a, b []byte) string {
	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\n" + y[i]
		}
	}
	return "one ends before the other"
}

func TestASimulatedRunIsJudgedValid(t *testing.T) {
	for _, w := range workloads() {
		fresh, o := scenario(7, w)
		rec, err := sim.Play(t.Context(), fresh, o)
		if err != nil {
			t.Fatal(err)
		}
		res, err := runner.Conclude(t.Context(), o, rec.Recording)
		if err != nil || res.Verdict != harness.Valid {
			t.Errorf("%s: got %s, %v: %s", o.Workload.Name, res.Verdict, err, strings.Join(res.Reasons, "; "))
		}
	}
}

func TestAnInterruptedRunEndsSoon(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fresh, o := scenario(1, workloads()[0])
	o.Time = time.Hour
	o.Journal = writerFunc(func(p []byte) {
		if bytes.Contains(p, []byte(`"kind":"ok"`)) {
			cancel()
		}
	})
	rec, err := sim.Play(ctx, fresh, o)
	if !errors.Is(err, context.Canceled) || rec == nil {
		t.Fatalf("got %v, %v", rec, err)
	}
	last := rec.History[len(rec.History)-1]
	if last.Time > time.Minute || slices.ContainsFunc(rec.History, func(op harness.Op) bool { return op.F == runner.EndOp }) {
		t.Errorf("the history went on until %v", last.Time)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestARunThatCannotBeMadeIsAnError(t *testing.T) {
	_, o := scenario(1, workloads()[0])
	broken := errors.New("no cluster today")
	if rec, err := sim.Play(t.Context(), func() (*sim.Cluster, error) { return nil, broken }, o); !errors.Is(err, broken) || rec != nil {
		t.Errorf("got %v, %v", rec, err)
	}
}

// BenchmarkPlay is a seed from start to verdict: 300 operations in 20 virtual seconds.
func BenchmarkPlay(b *testing.B) {
	for i := range b.N {
		fresh, o := scenario(uint64(i), workloads()[0])
		rec, err := sim.Play(b.Context(), fresh, o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := runner.Conclude(b.Context(), o, rec.Recording); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(rec.History)), "lines/op")
	}
}

func TestARunThatIsKeptGetsItsTrace(t *testing.T) {
	fresh, o := scenario(3, workloads()[0])
	o.Dir, o.Time = t.TempDir(), 8*time.Second
	rec, err := sim.Play(t.Context(), fresh, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Report = func(dir string, _ harness.Result, h []harness.Op) error {
		lines, err := trace.Load(dir)
		if err != nil || len(lines) < 1000 || len(lines) > trace.LinesMax {
			t.Errorf("the report finds %d lines, %v", len(lines), err)
		}
		// Both files tell one time: a client's request leaves at an invocation.
		begun := map[time.Duration]bool{}
		for _, op := range h {
			if op.Kind == harness.Invoke {
				begun[op.Time] = true
			}
		}
		requests := 0
		for _, l := range lines {
			if l.What != trace.Client || l.Kind != trace.Request {
				continue
			}
			if requests++; !begun[l.Time] {
				t.Errorf("no operation began at %v, when %s asked %s", l.Time, l.From, l.To)
			}
		}
		if requests < 50 {
			t.Errorf("only %d requests of clients", requests)
		}
		return nil
	}
	if _, err := runner.Conclude(t.Context(), o, rec.Recording); err != nil {
		t.Fatal(err)
	}
}
