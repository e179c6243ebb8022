package seeds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asWorker makes this test binary a worker; its value says of which kind.
const asWorker = "SEEDS_TEST_WORKER"

func TestMain(m *testing.M) {
	switch os.Getenv(asWorker) {
	case "":
		os.Exit(m.Run())
	case "babbler":
		fmt.Println("hello, world")
		os.Exit(0)
	}
	if err := Work(os.Stdin, os.Stdout, moody); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// moody is what the test's seeds do.
func moody(j Job) Report {
	sum := j.Seed * 7
	switch j.Seed % 10 {
	case 3:
		return Report{Failed: true, Sum: sum, Data: json.RawMessage(`{"why":"three"}`)}
	case 5:
		panic(fmt.Sprintf("five of %d", j.Seed))
	case 7:
		var mu sync.Mutex
		mu.Lock()
		time.AfterFunc(time.Hour, mu.Unlock) // or the runtime notices a deadlock
		hangHere(&mu)
	case 9:
		sum += uint64(runtime.GOMAXPROCS(0))
		return Report{Failed: j.Seed > 10, Sum: sum}
	}
	return Report{Sum: sum}
}

func hangHere(mu *sync.Mutex) { mu.Lock() }

func worker4(kind string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asWorker+"="+kind)
		return cmd
	}
}

func upTo(n uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestEverySeedHasItsOutcome(t *testing.T) {
	var outs []Outcome
	sum, err := Run(t.Context(), Options{
		Command: worker4("moody"), Seeds: upTo(20), Workers: 3, Limit: time.Second, Recheck: 1,
		Done: func(o Outcome) bool { outs = append(outs, o); return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(outs, func(a, b Outcome) int { return int(a.Seed) - int(b.Seed) })
	if len(outs) != 20 || sum.Seeds != 20 {
		t.Fatalf("%d outcomes, summary %+v", len(outs), sum)
	}
	for i, o := range outs {
		want := map[int]End{3: Failed, 5: Crashed, 7: Hung, 9: Diverged}[i%10]
		if i == 19 {
			want = Failed // and diverged, too
		}
		if o.Differs != (i%10 == 9) {
			t.Errorf("seed %d: differs %v", i, o.Differs)
		}
		if o.Seed != uint64(i) || o.End != want {
			t.Errorf("seed %d: got %s for seed %d, want %s", i, o.End, o.Seed, want)
		}
		switch want {
		case Failed:
			if i != 19 && string(o.Report.Data) != `{"why":"three"}` || o.Again == nil {
				t.Errorf("seed %d: report %+v", i, o.Report)
			}
		case Crashed:
			if !strings.Contains(o.Stderr, fmt.Sprintf("five of %d", i)) {
				t.Errorf("seed %d: its panic is not shown: %q", i, o.Stderr)
			}
		case Hung:
			if !strings.Contains(o.Stderr, "hangHere") {
				t.Errorf("seed %d: its stacks are not shown: %q", i, o.Stderr)
			}
		case Diverged:
			if o.Again == nil || o.Again.Sum == o.Report.Sum {
				t.Errorf("seed %d: %+v", i, o)
			}
		default:
			if o.Report.Sum != o.Seed*7 || o.Again == nil || o.Stderr != "" {
				t.Errorf("seed %d: %+v", i, o)
			}
		}
	}
	want := map[End]int{Passed: 12, Failed: 3, Crashed: 2, Hung: 2, Diverged: 1}
	for end, n := range want {
		if sum.Ends[end] != n {
			t.Errorf("%d seeds %s, want %d", sum.Ends[end], end, n)
		}
	}
	if sum.Rechecks != 16 || sum.PerMinute() <= 0 {
		t.Errorf("%d rechecks, %v a minute", sum.Rechecks, sum.PerMinute())
	}
}

func TestDoneEndsTheSearch(t *testing.T) {
	sum, err := Run(t.Context(), Options{
		Command: worker4("moody"), Seeds: upTo(math.MaxUint64), Workers: 1,
		Done: func(o Outcome) bool { return o.End == Passed },
	})
	if err != nil || sum.Seeds != 4 || sum.Ends[Failed] != 1 || sum.Rechecks != 0 {
		t.Errorf("got %+v, %v, want an end at seed 3", sum, err)
	}
}

func TestWorkersThatAreNoneAreAnError(t *testing.T) {
	for name, cmd := range map[string]func() *exec.Cmd{
		"missing": func() *exec.Cmd { return exec.Command("./no-such-program") },
		"babbler": worker4("babbler"),
	} {
		if sum, err := Run(t.Context(), Options{Command: cmd, Seeds: upTo(5), Workers: 2}); err == nil || sum.Seeds != 0 {
			t.Errorf("%s: got %+v, %v, want an error", name, sum, err)
		}
	}
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("a search for nothing began")
	}
}

func TestACancelledSearchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	seeds := func(yield func(uint64) bool) {
		yield(1)
		cancel()
		yield(7) // hangs
	}
	sum, err := Run(ctx, Options{Command: worker4("moody"), Seeds: seeds, Workers: 1})
	if !errors.Is(err, context.Canceled) || sum.Ends[Hung] != 0 {
		t.Errorf("got %+v, %v", sum, err)
	}
}

func TestWorkAnnouncesWhatItBegins(t *testing.T) {
	var out bytes.Buffer
	err := Work(strings.NewReader(`{"seed":4}{"seed":6,"procs":1}`), &out, func(j Job) Report {
		if j.Seed == 6 && runtime.GOMAXPROCS(0) != 1 {
			return Report{Error: "procs were not set"}
		}
		return Report{Sum: j.Seed}
	})
	want := `{"begin":true,"seed":4}
{"seed":4,"report":{"sum":"4"}}
{"begin":true,"seed":6}
{"seed":6,"report":{"sum":"6"}}
`
	if err != nil || out.String() != want {
		t.Errorf("got %v and\n%swant\n%s", err, &out, want)
	}
	if err := Work(strings.NewReader("rubbish"), &out, moody); err == nil {
		t.Error("rubbish was taken for a job")
	}
}

func TestIntervalHoldsTheTruth(t *testing.T) {
	for _, c := range []struct {
		failures, n int
		lo, hi      float64 // by R's prop.test without correction
	}{
		{0, 0, 0, 1},
		{0, 1000, 0, 0.0038},
		{10, 100, 0.0552, 0.1744},
		{100, 100, 0.9630, 1},
	} {
		lo, hi := Interval(c.failures, c.n)
		if math.Abs(lo-c.lo) > 1e-4 || math.Abs(hi-c.hi) > 1e-4 {
			t.Errorf("%d of %d: got %.4f to %.4f, want %.4f to %.4f", c.failures, c.n, lo, hi, c.lo, c.hi)
		}
	}
}
