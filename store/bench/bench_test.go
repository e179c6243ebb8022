package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// TestBench is what 'make bench-store' runs. CARTWHEEL_BENCH_STORE is the daemon's binary,
// CARTWHEEL_BENCH_TIME how long each load lasts.
func TestBench(t *testing.T) {
	binary := os.Getenv("CARTWHEEL_BENCH_STORE")
	if binary == "" {
		t.Skip("'make bench-store' runs it")
	}
	each := timeOf(t, 5*time.Second)
	c, err := StartCluster(context.WithoutCancel(t.Context()), binary, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	figure("processors_per_daemon", float64(c.processors()), "1")
	b := bench{t: t, cluster: c, each: each}
	for _, clients := range []int{16, 64} {
		for _, size := range []int{100, 1024} {
			b.run(clients, size)
		}
	}
}

// timeOf is how long each load lasts, unless it says so itself.
func timeOf(t *testing.T, each time.Duration) time.Duration {
	t.Helper()
	if v := os.Getenv("CARTWHEEL_BENCH_TIME"); v != "" {
		var err error
		if each, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	return each
}

type bench struct {
	t       *testing.T
	cluster *Cluster
	each    time.Duration
}

// begin starts three daemons with flags of their own, and fills them; end stops them.
func begin(t *testing.T, binary string, clients, size int, each time.Duration, flags ...string) (b bench, r *Requests, end func()) {
	t.Helper()
	c, err := StartCluster(context.WithoutCancel(t.Context()), binary, t.TempDir(), 3, flags...)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Dial(c, clients, size); err != nil {
		t.Fatal(errors.Join(err, c.Close()))
	}
	end = func() {
		if err := errors.Join(r.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := r.Fill(t.Context()); err != nil {
		end()
		t.Fatal(err)
	}
	return bench{t: t, cluster: c, each: each}, r, end
}

// run measures one number of clients and one size of values. The loads whose figures are compared
// follow each other at once.
func (b bench) run(clients, size int) {
	ctx := b.t.Context()
	r, err := Dial(b.cluster, clients, size)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	if err := r.Fill(ctx); err != nil {
		b.t.Fatal(err)
	}
	calls, err := EmptyCalls(ctx, b.cluster, clients, b.each/2)
	b.check(calls, err)
	commits, err := SyncedCommits(ctx, b.t.TempDir(), clients, size, b.each/2)
	b.check(commits, err)

	suffix := suffixOf(size, clients)
	put := b.measure("put", suffix, clients, r.Put)
	get := b.measure("get", suffix, clients, r.Get)
	figure("empty_calls_per_second"+suffix, calls.Rate(), "1/s")
	figure("synced_commits_per_second"+suffix, commits.Rate(), "1/s")
	// How many times the time of its parts an operation takes: a put cannot do with less than a
	// call and a commit, a get with less than a call.
	figure("put_over_floor"+suffix, (1/put)/(1/calls.Rate()+1/commits.Rate()), "1")
	figure("get_over_floor"+suffix, calls.Rate()/get, "1")
	figure("put_over_commit"+suffix, commits.Rate()/put, "1")
	figure("put_over_call"+suffix, calls.Rate()/put, "1")
}

// suffixOf is how names of figures end; that of the case that others compare is empty.
func suffixOf(size, clients int) string {
	if size == 100 && clients == 16 {
		return ""
	}
	return fmt.Sprintf("_%db_%d", size, clients)
}

// measure finds how much is served, and the latencies at half of it. It returns operations a second.
func (b bench) measure(name, suffix string, clients int, op Op) float64 {
	before, err := b.cluster.CPU()
	if err != nil {
		b.t.Fatal(err)
	}
	closed := Closed(b.t.Context(), clients, b.each, op)
	after, err := b.cluster.CPU()
	b.check(closed, err)
	open := Open(b.t.Context(), clients, b.each, closed.Rate()/2, op)
	b.check(open, nil)
	figure(name+"_ops_per_second"+suffix, closed.Rate(), "1/s")
	open.tell(name+"_", suffix)
	figure(name+"_cpu_per_op"+suffix, float64((after-before).Microseconds())/float64(closed.Done), "us")
	return closed.Rate()
}

// check wants nearly all requests to succeed: a cluster that refuses work is not fast.
func (b bench) check(l Load, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	if l.Done == 0 || l.Failed*1000 > l.Done {
		b.t.Fatalf("%d requests failed, %d succeeded: %v", l.Failed, l.Done, l.Err)
	}
}

// percentiles are those that are told.
var percentiles = []struct {
	name    string
	percent float64
}{{"p50", 50}, {"p99", 99}, {"p999", 99.9}}

// tell prints the latencies of a load; prefix and suffix are around each one's name.
func (l Load) tell(prefix, suffix string) {
	for _, q := range percentiles {
		figure(prefix+q.name+suffix, l.Quantile(q.percent).Seconds()*1000, "ms")
	}
}

func figure(name string, value float64, unit string) {
	fmt.Printf("figure %s %.4g %s\n", name, value, unit)
}
