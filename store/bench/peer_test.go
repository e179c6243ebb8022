package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	peerClients = 16
	peerRounds  = 3
)

// TestBenchPeer is what 'make bench-peer' runs: our daemons and as many of etcd on the same machine, loaded by turns, so that what
// else the machine does meets both and their ratio can be told. While one is loaded the other is idle.
func TestBenchPeer(t *testing.T) {
	binary := os.Getenv("CARTWHEEL_BENCH_PEER")
	if binary == "" {
		t.Skip("'make bench-peer' runs it")
	}
	each := timeOf(t, 5*time.Second)
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		t.Fatalf("etcd is missing: %v", err)
	}
	version, err := exec.CommandContext(t.Context(), etcd, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --version: %v\n%s", etcd, err, version)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	t.Log("peer:", first)

	ctx := context.WithoutCancel(t.Context())
	c, err := StartCluster(ctx, binary, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	e, err := StartEtcd(ctx, etcd, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	figure("processors_per_daemon", float64(c.processors()), "1")
	b := bench{t: t, cluster: c, each: each}
	for _, size := range []int{100, 1024} {
		b.beside(e, size)
	}
}

// beside measures both stores with values of a size.
func (b bench) beside(e *Etcd, size int) {
	ctx := b.t.Context()
	ours, err := Dial(b.cluster, peerClients, size)
	if err != nil {
		b.t.Fatal(err)
	}
	theirs, err := DialEtcd(e, peerClients, size)
	if err != nil {
		b.t.Fatal(errors.Join(err, ours.Close()))
	}
	defer func() {
		if err := errors.Join(theirs.Close(), ours.Close()); err != nil {
			b.t.Error(err)
		}
	}()
	if err := errors.Join(ours.Fill(ctx), theirs.Fill(ctx)); err != nil {
		b.t.Fatal(err)
	}
	suffix := suffixOf(size, peerClients)
	puts := [2]*turn{newTurn(b.cluster.CPU, ours.Put), newTurn(e.CPU, theirs.Put)}
	gets := [2]*turn{newTurn(b.cluster.CPU, ours.Get), newTurn(e.CPU, theirs.Get)}
	for round := range peerRounds {
		for _, both := range [][2]*turn{puts, gets} {
			for i := range both { // who begins changes
				b.take(both[(round+i)%2])
			}
		}
	}
	tell("put", suffix, puts)
	tell("get", suffix, gets)
}

// A turn is one kind of request to one store, and what has come of it in all rounds.
type turn struct {
	op   Op
	cpu  func() (time.Duration, error)
	load Load
	used time.Duration // of the processors, by the daemons
}

func newTurn(cpu func() (time.Duration, error), op Op) *turn {
	return &turn{op: op, cpu: cpu, load: newLoad()}
}

// take measures a store for one round.
func (b bench) take(s *turn) {
	before, err := s.cpu()
	if err != nil {
		b.t.Fatal(err)
	}
	l := Closed(b.t.Context(), peerClients, b.each/peerRounds, s.op)
	after, err := s.cpu()
	b.check(l, err)
	s.load.add(l)
	s.used += after - before
}

func (s *turn) cpuPerOp() float64 { return float64(s.used.Microseconds()) / float64(s.load.Done) }

// tell prints the figures of ours, the peer's, and ours over the peer's.
func tell(name, suffix string, both [2]*turn) {
	for i, who := range []string{"own_", "peer_"} {
		s := both[i]
		figure(who+name+"_ops_per_second"+suffix, s.load.Rate(), "1/s")
		s.load.tell(who+name+"_", suffix)
		figure(who+name+"_cpu_per_op"+suffix, s.cpuPerOp(), "us")
	}
	own, peer := both[0], both[1]
	figure(name+"_over_peer"+suffix, own.load.Rate()/peer.load.Rate(), "1")
	figure(name+"_cpu_over_peer"+suffix, own.cpuPerOp()/peer.cpuPerOp(), "1")
}
