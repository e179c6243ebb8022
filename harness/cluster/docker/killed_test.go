package docker

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commandsOf builds what people run: the command line, and a Ginkgo suite.
func commandsOf(t *testing.T) (cartwheel, suite string) {
	t.Helper()
	dir := t.TempDir()
	cartwheel, suite = filepath.Join(dir, "cartwheel"), filepath.Join(dir, "cart.test")
	for _, build := range [][]string{
		{"go", "build", "-o", cartwheel, "cartwheel/harness/cmd/cartwheel"},
		{"go", "test", "-c", "-o", suite, "cartwheel/workloads/cart"},
	} {
		if said, err := exec.CommandContext(t.Context(), build[0], build[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, said)
		}
	}
	return cartwheel, suite
}

// ownedBy lists what carries the name of a run that a process made: such names end with its number.
func ownedBy(t *testing.T, pid int) (left inventory) {
	t.Helper()
	cli, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cli.Close() }()
	all, err := list(t.Context(), cli, ours(""))
	if err != nil {
		t.Fatal(err)
	}
	own := func(from []object) (its []object) {
		for _, o := range from {
			if strings.HasSuffix(o.run, fmt.Sprintf("-%d", pid)) {
				its = append(its, o)
			}
		}
		return its
	}
	return inventory{containers: own(all.containers), networks: own(all.networks), volumes: own(all.volumes)}
}

// TestNothingStaysOfRealRunsKilledAtAnyMoment is kill -9 of "cartwheel test" and of a suite at random moments,
// from their first second to the end of their load, and "cartwheel clean" after each; a cluster beside them goes on.
func TestNothingStaysOfRealRunsKilledAtAnyMoment(t *testing.T) {
	needEngine(t)
	cartwheel, suite := commandsOf(t)
	beside := newBystander(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	root, err := checkout("")
	if err != nil {
		t.Fatal(err)
	}
	ran := func(dir string, command ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CLUSTER=docker", "SEED=1", "TIME=12s", "RESULTS="+t.TempDir())
		return cmd
	}
	for i := range 4 { // whom: the command line, or a suite; when: it begins, or its faults strike
		var cmd *exec.Cmd
		if i%2 == 1 {
			cmd = ran(filepath.Join(root, "workloads", "cart"), suite, "-ginkgo.label-filter=chaos", "-ginkgo.v")
		} else {
			cmd = ran(root, cartwheel, "test", "--nemesis", "all", "--time", "12s", "--seed", fmt.Sprint(i+1), "--results", t.TempDir())
		}
		v := began(t, cmd)
		words, most := "starting docker", 4*time.Second
		if i >= 2 {
			words, most = "struck", 10*time.Second
		}
		v.await(t, words)
		moment := time.Duration(r.Int64N(int64(most)))
		_ = pause(t.Context(), moment)
		pid := cmd.Process.Pid
		v.kill(t)
		before := ownedBy(t, pid)
		// The engine may still be making what it was asked for, so that clean finds nothing yet.
		eventually(t, fmt.Sprintf("run %d, killed %s after it said %q, leaves nothing", i, moment, words), func() (bool, string) {
			said, err := ran(root, cartwheel, "clean").CombinedOutput()
			if err != nil {
				t.Fatalf("clean: %v\n%s", err, said)
			}
			left := ownedBy(t, pid)
			return left.empty(), fmt.Sprintf("%+v", left)
		})
		t.Logf("killed %s after it said %q: %d containers, %d networks, %d volumes were left", moment, words,
			len(before.containers), len(before.networks), len(before.volumes))
	}
	beside.unharmed(t)
}

// began starts a command whose words can be awaited.
func began(t *testing.T, cmd *exec.Cmd) victim {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return victim{cmd, bufio.NewScanner(out)}
}
