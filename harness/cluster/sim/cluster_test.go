package sim

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
	"cartwheel/harness/cluster/sim/disk"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
)

func TestTheClusterKeepsTheContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clustertest.Run(t, func() harness.Cluster {
			c, err := New(Options{Seed: 1, Open: openToy})
			must(t, err)
			return c
		})
	})
}

// inBubble runs a test on a started cluster of three toys.
func inBubble(t *testing.T, o Options, f func(t *testing.T, c *Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Open = openToy
		if o.Nodes == 0 {
			o.Nodes = 3
		}
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(t, c)
		if err := c.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKilledNodeKeepsWhatItSynced(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cluster) {
		ctx := t.Context()
		must(t, put(c, "n1", "safe", "1", true))
		must(t, put(c, "n1", "lost", "1", false))
		must(t, c.Kill(ctx, "n1"))
		must(t, c.Kill(ctx, "n1"))
		_, err := get(c, "n1", "safe")
		if status.Code(errors.Unwrap(err)) != codes.Unavailable {
			t.Errorf("a dead node: got %v, want Unavailable", err)
		}
		if err := c.Pause(ctx, "n1"); err == nil {
			t.Error("a dead node was paused")
		}
		must(t, c.Restart(ctx, "n1"))
		must(t, c.Restart(ctx, "n1"))
		for key, want := range map[string]string{"safe": "1", "lost": ""} {
			if got, err := get(c, "n1", key); got != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
			}
		}
		must(t, put(c, "n1", "lost", "2", false))
		must(t, c.Terminate(ctx, "n1"))
		if alive, err := c.Alive(ctx, "n1"); alive || err != nil {
			t.Errorf("alive %v, %v", alive, err)
		}
		must(t, c.Restart(ctx, "n1"))
		if got, err := get(c, "n1", "lost"); got != "2" || err != nil {
			t.Errorf("after an orderly end: got %q, %v", got, err)
		}
	})
}

func TestAKillEndsAPause(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cluster) {
		must(t, c.Pause(t.Context(), "n2"))
		must(t, c.Kill(t.Context(), "n2"))
		must(t, c.Restart(t.Context(), "n2"))
		must(t, put(c, "n2", "k", "v", true))
	})
}

func TestFaultsOfDisksLinksAndClocksReachTheirNode(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, c *Cluster) {
		ctx := t.Context()
		must(t, c.Disturb(ctx, "n1", harness.DiskFault{WriteErrors: 1}))
		if err := put(c, "n1", "k", "v", true); err == nil || !strings.Contains(err.Error(), disk.ErrIO.Error()) {
			t.Errorf("got %v, want a failing disk", err)
		}
		must(t, put(c, "n2", "k", "v", true))
		must(t, c.Undisturb(ctx, "n1"))
		must(t, put(c, "n1", "k", "v", true))

		must(t, c.Skew(ctx, "n1", harness.Skew{Offset: -time.Hour}))
		must(t, c.Kill(ctx, "n1"))
		must(t, c.Restart(ctx, "n1"))
		var log bytes.Buffer
		must(t, c.Logs(ctx, "n1", &log))
		early := time.Now().Add(-time.Hour).Format("2006-01-02T15")
		if n := strings.Count(log.String(), "msg=opened"); n != 2 || !strings.Contains(log.String(), early) {
			t.Errorf("got %d lives, want 2, the second an hour behind:\n%s", n, &log)
		}

		links := []harness.Link{{From: "n2", To: "n3"}}
		must(t, c.Shape(ctx, "f1", links, harness.Shape{Delay: time.Second}))
		begin := time.Now()
		if open, err := c.Probe(ctx, links); err != nil || !open[links[0]] || time.Since(begin) < time.Second {
			t.Errorf("a slow link: %v, %v after %v", open, err, time.Since(begin))
		}
	})
}

func TestWhatDoesNotRunRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := New(Options{Nodes: -1}); err == nil {
			t.Error("a cluster of nothing was made")
		}
		c, err := New(Options{Open: openToy})
		must(t, err)
		ctx := t.Context()
		for what, err := range map[string]error{
			"kill": c.Kill(ctx, "n1"), "restart": c.Restart(ctx, "n1"), "pause": c.Pause(ctx, "n1"),
			"mend": c.Mend(ctx, "f1"), "put": put(c, "n1", "k", "v", true), "logs": c.Logs(ctx, "n1", new(bytes.Buffer)),
		} {
			if !errors.Is(err, ErrStopped) {
				t.Errorf("%s: got %v, want %v", what, err, ErrStopped)
			}
		}
		if err := c.Kill(ctx, "n9"); err == nil || errors.Is(err, ErrStopped) {
			t.Errorf("kill an unknown node: got %v", err)
		}
	})
}

func TestAFailedStartLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Open: func(s Seams) (Process, error) {
			if s.ID == "n3" {
				return nil, errors.New("ouch")
			}
			return openToy(s)
		}})
		must(t, err)
		if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "start n3: open: ouch") {
			t.Errorf("got %v", err)
		}
		must(t, c.Stop(t.Context())) // a goroutine left behind fails the bubble
	})
}

func TestLogsKeepTheNewestLines(t *testing.T) {
	inBubble(t, Options{LogLevel: slog.LevelDebug, LogBytesMax: 4096}, func(t *testing.T, c *Cluster) {
		time.Sleep(time.Minute)
		var log bytes.Buffer
		must(t, c.Logs(t.Context(), "n1", &log))
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if log.Len() > 4200 || len(lines) < 10 || !strings.Contains(lines[0], "dropped") {
			t.Fatalf("%d bytes, %d lines, the first %q", log.Len(), len(lines), lines[0])
		}
		for _, l := range lines[1:] {
			if !strings.HasPrefix(l, "time=") {
				t.Errorf("a torn line: %q", l)
			}
		}
	})
}

// liveThrough is a run under all faults; what it returns must depend on the seed alone.
func liveThrough(t *testing.T, seed uint64) (seen string, tally wire.Tally) {
	inBubble(t, Options{Seed: seed, Nodes: 5}, func(t *testing.T, c *Cluster) {
		ctx, begin := t.Context(), time.Now()
		both := []harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}, {From: "n3", To: "n1"}}
		var faults, clients sync.WaitGroup
		at := func(d time.Duration, f func() error) {
			faults.Go(func() {
				time.Sleep(d)
				if err := f(); err != nil {
					t.Error(err)
				}
			})
		}
		at(1*time.Second, func() error { return c.Cut(ctx, "f1", both) })
		at(4*time.Second, func() error { return c.Mend(ctx, "f1") })
		at(2*time.Second, func() error { return c.Kill(ctx, "n4") })
		at(3*time.Second, func() error { return c.Restart(ctx, "n4") })
		at(2500*time.Millisecond, func() error { return c.Pause(ctx, "n5") })
		at(4500*time.Millisecond, func() error { return c.Resume(ctx, "n5") })
		out := make([]string, 5)
		for i := range out {
			clients.Go(func() {
				for op := range 20 {
					name := fate.Hash(seed, uint64(i), uint64(op))
					time.Sleep(fate.Between(0, 500*time.Millisecond, name))
					n, key := c.Nodes()[name%5], fmt.Sprintf("k%d", op%4)
					err := put(c, n, key, fmt.Sprintf("%d-%d", i, op), op%2 == 0)
					got, gerr := get(c, n, key)
					out[i] += fmt.Sprintln(time.Since(begin), n, key, got, err, gerr)
				}
			})
		}
		clients.Wait()
		faults.Wait()
		seen, tally = strings.Join(out, ""), c.Tally()
	})
	return seen, tally
}

func TestOneSeedIsOneLife(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	sums := map[uint64]bool{}
	for seed := range uint64(2) {
		seen, tally := liveThrough(t, seed)
		if !strings.Contains(seen, "Unavailable") || !strings.Contains(seen, "DeadlineExceeded") || tally.Packets < 1000 {
			t.Errorf("seed %d: too little happened in %d packets", seed, tally.Packets)
		}
		sums[tally.Sum] = true
		for _, procs := range []int{1, 8} {
			runtime.GOMAXPROCS(procs)
			if again, sum := liveThrough(t, seed); again != seen || sum != tally {
				t.Errorf("seed %d at GOMAXPROCS %d: %+v, then %+v", seed, procs, tally, sum)
			}
		}
	}
	if len(sums) != 2 {
		t.Errorf("2 seeds lived %d lives", len(sums))
	}
}
