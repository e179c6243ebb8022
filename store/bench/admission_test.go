package bench

import (
	"context"
	"os"
	"testing"
	"time"

	"cartwheel/store/client"
)

// What the comparison of admission control is about: the rate of foreground puts is a fifth of what the cluster serves, and
// the backlog is hints that a node gets when it is back, and anti-entropy beside them.
const (
	admissionClients = 16
	admissionSize    = 1024
	admissionTarget  = "5ms"
)

// TestBenchAdmission is what 'make bench-admission' runs: the latency of puts with nothing else to do, and while a node gets
// a backlog of hints, with admission control and without it (section 6.5 of the Dynamo paper).
func TestBenchAdmission(t *testing.T) {
	binary := os.Getenv("CARTWHEEL_BENCH_ADMISSION")
	if binary == "" {
		t.Skip("'make bench-admission' runs it")
	}
	each := timeOf(t, 10*time.Second)
	rate := 0.0 // the same in both
	for _, setting := range []string{"off", admissionTarget} {
		name := map[bool]string{true: "off", false: "on"}[setting == "off"]
		quiet, busy := admitted(t, binary, setting, name, each, &rate)
		for _, q := range percentiles {
			calm, beside := quiet.Quantile(q.percent), busy.Quantile(q.percent)
			figure("admission_"+name+"_quiet_"+q.name, calm.Seconds()*1000, "ms")
			figure("admission_"+name+"_busy_"+q.name, beside.Seconds()*1000, "ms")
			figure("admission_"+name+"_ratio_"+q.name, beside.Seconds()/calm.Seconds(), "1")
		}
		figure("admission_"+name+"_quiet_second_p999", quiet.median.Seconds()*1000, "ms")
		figure("admission_"+name+"_busy_second_p999", busy.median.Seconds()*1000, "ms")
		figure("admission_"+name+"_ratio_second_p999", busy.median.Seconds()/quiet.median.Seconds(), "1")
	}
}

// A measured load, and the 99.9th percentile of its median second.
type measured struct {
	Load
	median time.Duration
}

// puts makes them at a rate.
func (b bench) puts(ctx context.Context, rate float64, put Op) (m measured) {
	m.Load, m.median = OpenEachSecond(ctx, admissionClients, b.each, rate, put)
	b.check(m.Load, nil)
	return m
}

// admitted measures puts in a cluster with one setting of admission control.
func admitted(t *testing.T, binary, setting, name string, each time.Duration, rate *float64) (quiet, busy measured) {
	ctx := t.Context()
	b, r, end := begin(t, binary, admissionClients, admissionSize, each, "--admission", setting)
	defer end()
	if *rate == 0 {
		closed := Closed(ctx, admissionClients, each/2, r.Put)
		b.check(closed, nil)
		*rate = closed.Rate() / 5
		figure("admission_puts_per_second", *rate, "1/s")
	}
	quiet = b.puts(ctx, *rate, r.Put)

	if err := b.cluster.Stop(2); err != nil {
		t.Fatal(err)
	}
	b.check(Closed(ctx, admissionClients, 2*each, r.Add), nil)
	if err := b.cluster.Start(ctx, 2); err != nil {
		t.Fatal(err)
	}
	// What a feedback loop does before it has seen anything is not what it is for; nor is the coming of a node.
	b.check(Open(ctx, admissionClients, 3*time.Second, *rate, r.Put), nil)
	before := hints(t, b.cluster)
	busy = b.puts(ctx, *rate, r.Put)
	after := hints(t, b.cluster)
	figure("admission_"+name+"_hints_before", float64(before), "hints")
	figure("admission_"+name+"_hints_after", float64(after), "hints")
	return quiet, busy
}

// hints counts those that wait for the last node.
func hints(t *testing.T, c *Cluster) (sum uint64) {
	t.Helper()
	for _, address := range c.Addresses[:2] {
		a, err := client.DialAdmin(address, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		st, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum += st.Hints
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	return sum
}
