package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
)

// needEngine skips tests that need a real engine, unless they were asked for.
func needEngine(t *testing.T) {
	t.Helper()
	if os.Getenv("CARTWHEEL_DOCKER") != "1" {
		t.Skip("SKIPPED: needs a Docker Engine; CARTWHEEL_DOCKER=1 runs it")
	}
}

const chatterPort = 7000

func chatterOptions(t *testing.T, run string) Options {
	t.Helper()
	image, err := StoreImage(t.Context(), Build{Package: "./harness/cluster/docker/testdata/chatter", Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Run: run, Image: image, Port: chatterPort, Logger: logger(t),
		Command: talkative, Join: joining, ClockFile: "/clock/skew", Wall: wallOf,
	}
}

// talkative makes a node talk to all others.
func talkative(n harness.NodeID, members map[harness.NodeID]string) []string {
	command := []string{fmt.Sprint(chatterPort)}
	for m, address := range members {
		if m != n {
			command = append(command, address)
		}
	}
	return command
}

// joining makes a node talk to its seeds.
func joining(_ harness.NodeID, _ string, seeds []string) []string {
	return append([]string{fmt.Sprint(chatterPort)}, seeds...)
}

// quietOptions are those of a cluster whose stores never say a word.
func quietOptions(t *testing.T, run string) Options {
	o := chatterOptions(t, run)
	o.Command = func(harness.NodeID, map[harness.NodeID]string) []string { return []string{fmt.Sprint(chatterPort)} }
	return o
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// runName is unique among tests and processes.
func runName(t *testing.T) string {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, t.Name()))
	return fmt.Sprintf("t%d-%.30s", os.Getpid(), name)
}

func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func leftBy(t *testing.T, run string) inventory {
	t.Helper()
	cli, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cli.Close() }()
	left, err := list(t.Context(), cli, ours(run))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestClusterConforms(t *testing.T) {
	needEngine(t)
	run := runName(t)
	clustertest.Run(t, func() harness.Cluster {
		c, err := New(chatterOptions(t, run))
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
	if left := leftBy(t, run); !left.empty() {
		t.Errorf("left behind: %+v", left)
	}
}

// reach waits until a node answers and returns what it says.
func reach(t *testing.T, address string) string {
	t.Helper()
	var last error
	for range 100 {
		said, err := ask(address, 5*time.Second)
		if err == nil {
			return said
		}
		last = err
		if err := pause(t.Context(), 100*time.Millisecond); err != nil {
			break
		}
	}
	t.Fatalf("%s does not answer: %v", address, last)
	return ""
}

// ask connects to a node and returns what it says about itself.
func ask(address string, patience time.Duration) (string, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestStoreIsAnOrdinaryUserWithNothingButItsVolume(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 1
	c := start(t, o)
	if got, want := reach(t, c.Address("n1")), "uid 65532, writes outside its volume: false, lives: 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var logs strings.Builder
	if err := c.Logs(t.Context(), "n1", &logs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"chatter serves\n", "chatter complains\n"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("logs: got %q, want %q in them", logs.String(), want)
		}
	}
}

func TestPublishedPortsSurviveACutButNotAPause(t *testing.T) {
	needEngine(t)
	c := start(t, quietOptions(t, runName(t)))
	if err := c.Cut(t.Context(), "f1", clustertest.AllLinks(c.Nodes())); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		reach(t, c.Address(n)) // a cut between nodes is none from clients
	}
	if err := c.Pause(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(c.Address("n1"), 300*time.Millisecond); err == nil {
		t.Errorf("a paused node said %q", got)
	}
	if err := c.Resume(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	reach(t, c.Address("n1"))
}

// Clients are cut off while nodes hear each other: who is connected gets no answer, and what is
// sent is discarded and counted, in one direction or the other.
func TestClientsAreCutOff(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	request, answer := harness.Link{From: harness.Clients, To: "n1"}, harness.Link{From: "n1", To: harness.Clients}
	links := append(clustertest.AllLinks(c.Nodes()), request, answer)
	for _, cut := range []harness.Link{request, answer} {
		reach(t, c.Address("n1"))
		conn, err := net.Dial("tcp", c.Address("n1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := c.Cut(t.Context(), "f1", []harness.Link{cut}); err != nil {
			t.Fatal(err)
		}
		open, err := c.Probe(t.Context(), links)
		for _, l := range links {
			if err != nil || open[l] == (l == cut) {
				t.Errorf("%s->%s is cut: %s->%s is open: %v, %v", cut.From, cut.To, l.From, l.To, open[l], err)
			}
		}
		if said, err := ask(c.Address("n1"), 300*time.Millisecond); err == nil {
			t.Errorf("%s->%s is cut, and n1 said %q", cut.From, cut.To, said)
		}
		reach(t, c.Address("n2"))
		if err := conn.Close(); err != nil { // of which n1 is to be told, and it says goodbye too
			t.Fatal(err)
		}
		for lost, left := uint64(0), 100; lost == 0; left-- {
			all, err := c.Dropped(t.Context(), "f1")
			if err != nil || left == 0 {
				t.Fatalf("nothing of %s->%s was discarded: %v, %v", cut.From, cut.To, all, err)
			}
			if lost = all[cut]; lost == 0 {
				if err := pause(t.Context(), 50*time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := c.Mend(t.Context(), "f1"); err != nil {
			t.Fatal(err)
		}
		reach(t, c.Address("n1"))
	}
}

// Who is cut off from clients can be asked all the same, so what a client cut does to a node is no secret.
func TestANodeThatIsCutOffFromClientsAnswersTheHarness(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes, o.AdminPort, o.Env = 1, chatterPort+1, []string{fmt.Sprintf("ADMIN=%d", chatterPort+1)}
	c := start(t, o)
	if c.AdminAddress("n1") == c.Address("n1") {
		t.Fatalf("both are at %s", c.Address("n1"))
	}
	request, answer := harness.Link{From: harness.Clients, To: "n1"}, harness.Link{From: "n1", To: harness.Clients}
	for _, cut := range [][]harness.Link{{request}, {answer}, {request, answer}} {
		reach(t, c.Address("n1"))
		if err := c.Cut(t.Context(), "f1", cut); err != nil {
			t.Fatal(err)
		}
		reach(t, c.AdminAddress("n1"))
		if said, err := ask(c.Address("n1"), 300*time.Millisecond); err == nil {
			t.Errorf("%v are cut, and n1 told a client %q", cut, said)
		}
		if open, err := c.Probe(t.Context(), cut); err != nil || open[cut[0]] {
			t.Errorf("probed while %v are cut: %v, %v", cut, open, err)
		}
		if err := c.Mend(t.Context(), "f1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProbesDoNotCountAsDropped(t *testing.T) {
	needEngine(t)
	c := start(t, quietOptions(t, runName(t)))
	links := clustertest.AllLinks(c.Nodes())
	if err := c.Cut(t.Context(), "f1", links); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Probe(t.Context(), links); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Dropped(t.Context(), "f1")
	if err != nil {
		t.Fatal(err)
	}
	for l, n := range got {
		if n != 0 {
			t.Errorf("%s->%s: got %d packets, want none: nobody but the probes sent any", l.From, l.To, n)
		}
	}
}

func TestVanishedRulesAreNoticed(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	r, p, err := c.pod("n2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := execute(t.Context(), r.cli, p.host, "", "iptables-"+r.backend, "-F", "INPUT"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Probe(t.Context(), []harness.Link{{From: "n1", To: "n2"}}); !errors.Is(err, errRulesGone) {
		t.Errorf("got %v, want %v", err, errRulesGone)
	}
}

// A datagram that nobody saw says something of the link only if it was sent.
func TestASenderThatIsOutOfOrderIsNoCut(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 3
	c := start(t, o)
	r, p, err := c.pod("n1")
	if err != nil {
		t.Fatal(err)
	}
	broken, whole := harness.Link{From: "n1", To: "n2"}, harness.Link{From: "n3", To: "n2"}
	do := func(p *pod, command ...string) {
		t.Helper()
		if _, err := execute(t.Context(), r.cli, p.host, "", command...); err != nil {
			t.Fatal(err)
		}
	}
	route := r.pods["n2"].address.String() + "/32"
	do(p, "ip", "route", "add", "unreachable", route)
	if got, err := c.Probe(t.Context(), []harness.Link{broken, whole}); err == nil || !strings.Contains(err.Error(), "n1 did not send") {
		t.Errorf("without a route: got %v, %v; want an error that names the sender", got, err)
	}
	do(p, "ip", "route", "del", "unreachable", route)
	if got, err := c.Probe(t.Context(), []harness.Link{broken, whole}); err != nil || !got[broken] || !got[whole] {
		t.Errorf("with the route: got %v, %v; want both open", got, err)
	}
	// What is sent and lost on the way, before the receiver's rules, is a link that is down.
	do(r.pods["n2"], "iptables-"+r.backend, "-t", "raw", "-A", "PREROUTING", "-s", p.address.String(), "-j", "DROP")
	if got, err := c.Probe(t.Context(), []harness.Link{broken, whole}); err != nil || got[broken] || !got[whole] {
		t.Errorf("lost on the way: got %v, %v; want n1->n2 closed", got, err)
	}
}

func TestNodesCanBeFrozenBySignal(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 1
	c := start(t, o)
	r, p, err := c.pod("n1")
	if err != nil {
		t.Fatal(err)
	}
	p.stopped.Store(true) // as Pause does where the engine cannot
	if err := settle(t.Context(), r.cli, p, true, func() error { return r.cli.ContainerKill(t.Context(), p.store(), "SIGSTOP") }); err != nil {
		t.Fatal(err)
	}
	if frozen, err := c.Paused(t.Context(), "n1"); err != nil || !frozen {
		t.Errorf("after SIGSTOP: got %v, %v; want paused", frozen, err)
	}
	// The engine's pause may come late, on top of it: one resume undoes both.
	if err := r.cli.ContainerPause(t.Context(), p.store()); err != nil {
		t.Fatal(err)
	}
	if err := c.Resume(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	reach(t, c.Address("n1"))
	if frozen, err := c.Paused(t.Context(), "n1"); err != nil || frozen {
		t.Errorf("after resume: got %v, %v; want running", frozen, err)
	}
}

func TestClustersRunSideBySide(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	a := start(t, o)
	o.Run += "-2"
	b := start(t, o)
	cleaned, err := Clean(t.Context(), Stale)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("removed %+v, of other runs", cleaned)
	link := harness.Link{From: "n1", To: "n2"}
	if err := a.Cut(t.Context(), "f1", []harness.Link{link}); err != nil {
		t.Fatal(err)
	}
	for c, want := range map[*Cluster]bool{a: false, b: true} {
		if got, err := c.Probe(t.Context(), []harness.Link{link}); err != nil || got[link] != want {
			t.Errorf("n1->n2 of %s is open: got %v, %v; want %v", c.opts.Run, got[link], err, want)
		}
	}
	again, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(t.Context()); !errors.Is(err, errHeld) {
		t.Errorf("a second run of the same name: got %v, want %v", err, errHeld)
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	needEngine(t)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{name: "no such image", change: func(o *Options) { o.Image = "cartwheel-store:none" }, want: "cartwheel-store:none"},
		{name: "the store ends at once", change: func(o *Options) {
			o.Command = func(harness.NodeID, map[harness.NodeID]string) []string { return nil }
		}, want: "usage: chatter"},
		// Commands are asked for when the first containers exist and others do not.
		{name: "given up half-way", change: func(o *Options) {
			whole := o.Command
			o.Command = func(n harness.NodeID, members map[harness.NodeID]string) []string {
				giveUp()
				return whole(n, members)
			}
		}, want: context.Canceled.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := chatterOptions(t, runName(t))
			test.change(&o)
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Start(ctx)
			if err == nil {
				t.Error("got no error, want one")
				_ = c.Stop(t.Context())
			} else if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
			if left := leftBy(t, o.Run); !left.empty() {
				t.Errorf("left behind: %+v", left)
			}
		})
	}
}

func TestExamineFindsTheEngineUsable(t *testing.T) {
	needEngine(t)
	if _, err := HostImage(t.Context(), "", logger(t)); err != nil {
		t.Fatal(err)
	}
	r := Examine(t.Context(), "")
	for _, c := range r.Checks {
		t.Logf("%s: %s: %s (%s)", c.Name, c.Level, c.Detail, c.Remedy)
	}
	if !r.Usable() || !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == "packet filter" && c.Level == Fine }) {
		t.Errorf("got %+v, want an engine that can run clusters", r)
	}
}
