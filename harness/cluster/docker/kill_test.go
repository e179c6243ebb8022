package docker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
)

func expectAlive(t *testing.T, c *Cluster, when string, n harness.NodeID, want bool) {
	t.Helper()
	if got, err := c.Alive(t.Context(), n); err != nil || got != want {
		t.Fatalf("%s: %s is alive: got %v, %v; want %v", when, n, got, err, want)
	}
}

// lives counts how often the chatter has begun to serve, by its logs.
func lives(t *testing.T, c *Cluster, n harness.NodeID) int {
	t.Helper()
	var logs strings.Builder
	if err := c.Logs(t.Context(), n, &logs); err != nil {
		t.Fatal(err)
	}
	return strings.Count(logs.String(), "chatter serves\n")
}

func TestANodesLivesShareAddressRulesVolumeAndLogs(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	ctx, n := t.Context(), harness.NodeID("n1")
	address := c.Address(n)
	first := reach(t, address)
	if err := c.Cut(ctx, "f1", []harness.Link{{From: "n2", To: n}}); err != nil {
		t.Fatal(err)
	}
	for i, end := range []struct {
		name string
		call func(context.Context, harness.NodeID) error
	}{{"kill", c.Kill}, {"terminate", c.Terminate}} {
		expectAlive(t, c, "before "+end.name, n, true)
		for range 2 { // the second time it is dead
			if err := end.call(ctx, n); err != nil {
				t.Fatalf("%s: %v", end.name, err)
			}
			expectAlive(t, c, "after "+end.name, n, false)
		}
		expectAlive(t, c, "the other, after "+end.name, "n2", true)
		if said, err := ask(address, 300*time.Millisecond); err == nil {
			t.Errorf("after %s: it said %q", end.name, said)
		}
		// Probes meet the host container alone, so rules are proven while the store is dead.
		all := clustertest.AllLinks(c.Nodes())
		for _, when := range []string{"dead", "restarted"} {
			got, err := c.Probe(ctx, all)
			if err != nil || got[harness.Link{From: "n2", To: n}] || !got[harness.Link{From: n, To: "n2"}] {
				t.Errorf("%s and %s: got %v, %v; want n2->n1 cut and n1->n2 open", end.name, when, got, err)
			}
			for range 2 { // the second time it runs
				if err := c.Restart(ctx, n); err != nil {
					t.Fatalf("restart after %s: %v", end.name, err)
				}
			}
		}
		expectAlive(t, c, "after restart", n, true)
		if now := c.Address(n); now != address {
			t.Errorf("after %s: published at %s, was %s", end.name, now, address)
		}
		if again := reach(t, address); again == first || !strings.Contains(again, "lives: ") {
			t.Errorf("after %s: it says %q, as before: its volume does not know of another life", end.name, again)
		} else {
			first = again
		}
		if got := lives(t, c, n); got != i+2 {
			t.Errorf("after %s: logs tell of %d lives, want %d", end.name, got, i+2)
		}
	}
}

func TestAKillEndsAPause(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 1
	c := start(t, o)
	ctx := t.Context()
	r, p, err := c.pod("n1")
	if err != nil {
		t.Fatal(err)
	}
	bySignal := func(ctx context.Context, _ harness.NodeID) error { // as Pause does where the engine cannot
		p.stopped.Store(true)
		return settle(ctx, r.cli, p, true, func() error { return r.cli.ContainerKill(ctx, p.store(), "SIGSTOP") })
	}
	for name, freeze := range map[string]func(context.Context, harness.NodeID) error{"by the engine": c.Pause, "by a signal": bySignal} {
		reach(t, c.Address("n1"))
		if err := freeze(ctx, "n1"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.Terminate(ctx, "n1"); err == nil || !strings.Contains(err.Error(), "paused") {
			t.Errorf("terminate when frozen %s: got %v, want an error: it cannot obey", name, err)
		}
		if err := c.Kill(ctx, "n1"); err != nil {
			t.Fatalf("kill when frozen %s: %v", name, err)
		}
		expectAlive(t, c, name, "n1", false)
		if frozen, err := c.Paused(ctx, "n1"); err != nil || frozen {
			t.Errorf("frozen %s and killed: it is paused: %v, %v", name, frozen, err)
		}
		if err := c.Pause(ctx, "n1"); err == nil {
			t.Errorf("a dead node was paused without an error")
		}
		if err := c.Resume(ctx, "n1"); err != nil {
			t.Errorf("resume a dead node: %v", err)
		}
		if err := c.Restart(ctx, "n1"); err != nil {
			t.Fatal(err)
		}
		if frozen, err := c.Paused(ctx, "n1"); err != nil || frozen {
			t.Errorf("a new life begins paused: %v, %v", frozen, err)
		}
	}
}

func TestAStoreThatIgnoresSIGTERMIsReportedAndRunsOn(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 1
	o.Env = []string{"STUBBORN=1"}
	c := start(t, o)
	reach(t, c.Address("n1"))
	r, p, err := c.pod("n1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.terminate(t.Context(), r.cli, 300*time.Millisecond); !errors.Is(err, errStillRuns) {
		t.Errorf("got %v, want %v", err, errStillRuns)
	}
	expectAlive(t, c, "after SIGTERM", "n1", true)
}

func TestARestartThatFailsSaysWhy(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 1
	o.Env = []string{"LIVES=1"}
	c := start(t, o)
	if err := c.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	err := c.Restart(t.Context(), "n1")
	for range 100 { // a process that ends a moment later is found by Alive
		if alive, aerr := c.Alive(t.Context(), "n1"); aerr != nil || !alive {
			break
		}
		if pause(t.Context(), 50*time.Millisecond) != nil {
			break
		}
	}
	expectAlive(t, c, "after a restart that fails", "n1", false)
	var logs strings.Builder
	if lerr := c.Logs(t.Context(), "n1", &logs); lerr != nil || !strings.Contains(logs.String(), "no more lives") {
		t.Errorf("restart: %v; logs: %v, %q; want it to say why", err, lerr, logs.String())
	}
}

// A pod that has lost its network, and its rules with it, is whole again when its store is restarted: its
// address, its published ports, the cut that is in force, and the refusal of IPv6.
func TestARestartedPodGetsItsRulesBack(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	ctx := t.Context()
	r, p, err := c.pod("n2")
	if err != nil {
		t.Fatal(err)
	}
	there, back := harness.Link{From: "n1", To: "n2"}, harness.Link{From: "n2", To: "n1"}
	if err := c.Cut(ctx, "f1", []harness.Link{there}); err != nil {
		t.Fatal(err)
	}
	for _, loss := range []struct {
		name string
		lose func() error
	}{
		{"flushed", func() error {
			_, err := p.shell.run(ctx, "", "iptables-"+r.backend, "-F", "INPUT")
			return err
		}},
		{"host container ended", func() error { return r.cli.ContainerKill(ctx, p.host, "SIGKILL") }},
	} {
		for _, step := range []func() error{
			func() error { return c.Kill(ctx, "n2") },
			loss.lose,
			func() error { return c.Restart(ctx, "n2") },
		} {
			if err := step(); err != nil {
				t.Fatalf("%s: %v", loss.name, err)
			}
		}
		reach(t, c.Address("n2"))
		if got, err := c.Probe(ctx, []harness.Link{there, back}); err != nil || got[there] || !got[back] {
			t.Errorf("%s: got %v, %v; want n1->n2 closed alone", loss.name, got, err)
		}
		saved, err := p.shell.run(ctx, "", "bash", "-c", `[ ! -s /proc/net/if_inet6 ] || "$0" -t filter`, "ip6tables-"+r.backend+"-save")
		if err != nil || saved != "" && strings.Count(saved, jumpMark) != 1 {
			t.Errorf("%s: rules of IPv6: %v\n%s", loss.name, err, saved)
		}
		saved, err = p.shell.run(ctx, "", "iptables-"+r.backend+"-save", "-t", "filter")
		if err != nil || strings.Count(saved, "-j CARTWHEEL-IN") != 1 || strings.Count(saved, "-j CARTWHEEL-OUT") != 1 {
			t.Errorf("%s: want each chain entered once: %v\n%s", loss.name, err, saved)
		}
	}
	if err := c.Mend(ctx, "f1"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Probe(ctx, []harness.Link{there, back}); err != nil || !got[there] || !got[back] {
		t.Errorf("healed: got %v, %v; want both open", got, err)
	}
}
