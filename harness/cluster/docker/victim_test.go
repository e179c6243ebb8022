package docker

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
)

// TestHelperStartsAClusterAndWaits is not a test: it is the process that the next one kills.
func TestHelperStartsAClusterAndWaits(t *testing.T) {
	run := os.Getenv("CARTWHEEL_TEST_VICTIM")
	if run == "" {
		t.Skip("runs as a child of TestKilledRunsAreCleanedUp")
	}
	o := quietOptions(t, run)
	o.Nodes = 2
	fmt.Println("victim begins")
	c := start(t, o)
	fmt.Println("victim is ready")
	if os.Getenv("CARTWHEEL_TEST_BUSY") == "" {
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
	}
	for { // one fault after the other, until killed
		disturb(t, c)
	}
}

// disturb makes and heals a fault of every kind.
func disturb(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, n, all := t.Context(), c.Nodes()[0], clustertest.AllLinks(c.Nodes())
	for _, step := range []func() error{
		func() error { return c.Cut(ctx, "f1", all) },
		func() error { return c.Pause(ctx, n) },
		func() error { return c.Kill(ctx, n) },
		func() error { return c.Shape(ctx, "f2", all, harness.Shape{Loss: 0.5}) },
		func() error { return c.Shape(ctx, "f3", all, harness.Shape{Delay: time.Millisecond}) },
		func() error { return c.Restart(ctx, n) },
		func() error { return c.Skew(ctx, n, harness.Skew{Offset: time.Hour}) },
		func() error { return c.Disturb(ctx, n, harness.DiskFault{Slow: time.Millisecond}) },
		func() error { return c.Mend(ctx, "f1") },
		func() error { return c.Unshape(ctx, "f2") },
		func() error { return c.Unshape(ctx, "f3") },
		func() error { return c.Undisturb(ctx, n) },
		func() error { return c.Terminate(ctx, n) },
		func() error { return c.Restart(ctx, n) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// A victim is a process that runs a cluster, to be killed.
type victim struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func newVictim(t *testing.T, run string, env ...string) victim {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperStartsAClusterAndWaits$", "-test.v")
	child.Env = append(append(os.Environ(), "CARTWHEEL_TEST_VICTIM="+run), env...)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return victim{child, bufio.NewScanner(out)}
}

// await reads what the victim says until it says that.
func (v victim) await(t *testing.T, words string) {
	t.Helper()
	var said []string
	for v.lines.Scan() {
		if said = append(said, v.lines.Text()); strings.Contains(v.lines.Text(), words) {
			return
		}
	}
	_ = v.cmd.Wait()
	t.Fatalf("the victim did not say %q but:\n%s", words, strings.Join(said, "\n"))
}

// kill is kill -9.
func (v victim) kill(t *testing.T) {
	t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = v.cmd.Wait() // says that it was killed
}

func TestKilledRunsAreCleanedUp(t *testing.T) {
	needEngine(t)
	run := runName(t)
	live := quietOptions(t, run+"-live")
	live.Nodes = 1
	survivor := start(t, live)

	child := newVictim(t, run)
	child.await(t, "victim is ready")
	if _, err := Clean(t.Context(), Stale); err != nil {
		t.Fatal(err)
	}
	if left := leftBy(t, run); len(left.containers) != 4 || len(left.networks) != 1 || len(left.volumes) != 4 {
		t.Errorf("before the kill: got %+v, want 4 containers, 1 network, 4 volumes: a live run was cleaned away", left)
	}
	child.kill(t)
	done, err := Clean(t.Context(), Stale)
	if err != nil {
		t.Fatal(err)
	}
	if left := leftBy(t, run); !left.empty() {
		t.Errorf("left behind: %+v", left)
	}
	if done.Runs < 1 || done.Containers < 4 {
		t.Errorf("got %+v, want at least the killed run's 4 containers", done)
	}
	reach(t, survivor.Address("n1")) // the live run did not suffer
}

// A bystander is a cluster with a cut that goes on beside runs that are killed.
type bystander struct {
	cluster *Cluster
	cut     harness.Link
	has     inventory
}

func newBystander(t *testing.T) bystander {
	t.Helper()
	o := quietOptions(t, runName(t)+"-live")
	o.Nodes = 2
	b := bystander{cluster: start(t, o), cut: harness.Link{From: "n1", To: "n2"}}
	if err := b.cluster.Cut(t.Context(), "f1", []harness.Link{b.cut}); err != nil {
		t.Fatal(err)
	}
	b.has = leftBy(t, o.Run)
	return b
}

// unharmed wants it to have all that it had, to serve, and its cut to hold, and no other.
func (b bystander) unharmed(t *testing.T) {
	t.Helper()
	if now := leftBy(t, b.cluster.opts.Run); len(now.containers) != len(b.has.containers) || len(now.volumes) != len(b.has.volumes) || len(now.networks) != 1 {
		t.Errorf("the live run has %+v, had %+v", now, b.has)
	}
	reach(t, b.cluster.Address("n1"))
	back := harness.Link{From: b.cut.To, To: b.cut.From}
	if got, err := b.cluster.Probe(t.Context(), []harness.Link{b.cut, back}); err != nil || got[b.cut] || !got[back] {
		t.Errorf("the live run's cut: got %v, %v; want %v closed alone", got, err, b.cut)
	}
}

// TestNothingStaysOfRunsKilledAtAnyMoment kills runs while they start and while they are at
// faults of every kind, and another run beside them goes on.
// What is left belongs to the killed run alone and goes at the next clean.
func TestNothingStaysOfRunsKilledAtAnyMoment(t *testing.T) {
	needEngine(t)
	beside := newBystander(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 6 {
		run := fmt.Sprintf("%s-%d", runName(t), i)
		v := newVictim(t, run, "CARTWHEEL_TEST_BUSY=1")
		v.await(t, "victim begins")
		most := time.Second // its start
		if i%2 == 1 {
			v.await(t, "victim is ready")
			most = 3 * time.Second // its faults
		}
		moment := time.Duration(r.Int64N(int64(most)))
		_ = pause(t.Context(), moment)
		v.kill(t)
		before := leftBy(t, run)
		// The engine may still be making what it was asked for, so that clean finds nothing yet.
		eventually(t, fmt.Sprintf("run %d, killed after %s, leaves nothing", i, moment), func() (bool, string) {
			if _, err := Clean(t.Context(), Stale); err != nil {
				t.Fatal(err)
			}
			left := leftBy(t, run)
			return left.empty(), fmt.Sprintf("%+v", left)
		})
		t.Logf("killed after %s: %d containers, %d networks, %d volumes were left", moment,
			len(before.containers), len(before.networks), len(before.volumes))
	}
	beside.unharmed(t)
}
