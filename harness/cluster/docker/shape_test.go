package docker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
)

// heard is what a chatter tells about the datagrams of one peer.
type heard struct {
	Got, Twice, Overtaken, Missing int
	Fastest, Slowest               time.Duration
}

// listenTo asks node n what it has heard from a peer since it was asked last.
func listenTo(t *testing.T, c *Cluster, l harness.Link) heard {
	t.Helper()
	conn, err := net.DialTimeout("tcp", c.Address(l.To), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var all map[string]heard
	if err := json.NewDecoder(lines).Decode(&all); err != nil {
		t.Fatal(err)
	}
	_, p, err := c.pod(l.From)
	if err != nil {
		t.Fatal(err)
	}
	return all[p.address.String()]
}

// eventually waits until a look shows what is wanted.
func eventually(t *testing.T, what string, look func() (bool, string)) {
	t.Helper()
	var last string
	for begun := time.Now(); time.Since(begun) < clustertest.Patience; {
		ok, saw := look()
		if ok {
			return
		}
		last = saw
		if err := pause(t.Context(), 100*time.Millisecond); err != nil {
			break
		}
	}
	t.Fatalf("%s: did not happen within %s; at last: %s", what, clustertest.Patience, last)
}

// needQueue skips where the kernel has no packet queue. The skip is honest: Shapes must
// say the same.
func needQueue(t *testing.T, c *Cluster) {
	t.Helper()
	if can := c.Shapes(); !slices.Contains(can, harness.ShapeDelay) {
		t.Skipf("SKIPPED: this kernel can only do %v to packets", can)
	}
}

func TestEveryShapeDoesToPacketsWhatItSays(t *testing.T) {
	needEngine(t)
	o := chatterOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	needQueue(t, c)
	there, back := harness.Link{From: "n1", To: "n2"}, harness.Link{From: "n2", To: "n1"}
	const late = 300 * time.Millisecond
	for _, test := range []struct {
		name  string
		shape harness.Shape
		shows func(h heard) bool // of some packets
		never func(h heard) bool // of no packets
	}{
		{name: "loss", shape: harness.Shape{Loss: 0.5}, shows: func(h heard) bool { return h.Missing > 0 && h.Got > 0 }},
		{name: "total loss", shape: harness.Shape{Loss: 1}, shows: func(h heard) bool { return h.Got == 0 }},
		{
			name: "delay", shape: harness.Shape{Delay: late},
			shows: func(h heard) bool { return h.Got > 0 },
			never: func(h heard) bool { return h.Got > 0 && h.Fastest < late || h.Twice > 0 },
		},
		{name: "jitter", shape: harness.Shape{Jitter: late}, shows: func(h heard) bool { return h.Overtaken > 0 }},
		{name: "duplicate", shape: harness.Shape{Duplicate: 0.5}, shows: func(h heard) bool { return h.Twice > 0 && h.Got > h.Twice }},
		{name: "reorder", shape: harness.Shape{Reorder: 0.3}, shows: func(h heard) bool { return h.Overtaken > 0 }, never: func(h heard) bool { return h.Twice > 0 }},
		// The receiver's checksum finds out, so what is spoilt does not reach the store.
		{name: "corrupt", shape: harness.Shape{Corrupt: 0.5}, shows: func(h heard) bool { return h.Missing > 0 && h.Got > 0 }},
		{name: "rate", shape: harness.Shape{Rate: 440}, shows: func(h heard) bool { return h.Got > 0 && h.Fastest > 90*time.Millisecond }},
		{name: "all", shape: harness.Shape{Delay: late, Loss: 0.2, Duplicate: 0.5, Jitter: late, Rate: 1 << 20}, shows: func(h heard) bool {
			return h.Got > 0 && h.Fastest >= late && h.Twice > 0 && h.Missing > 0
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begun := time.Now()
			if err := c.Shape(t.Context(), "f1", []harness.Link{there}, test.shape); err != nil {
				t.Fatal(err)
			}
			t.Logf("shaped within %s", time.Since(begun))
			// What was under way passes; at most two rounds later everything heard was shaped.
			settled := listenTo(t, c, there)
			_ = pause(t.Context(), 2*late)
			listenTo(t, c, back)
			settled = listenTo(t, c, there)
			eventually(t, "what the shape says", func() (bool, string) {
				h := listenTo(t, c, there)
				if test.never != nil && test.never(h) {
					t.Fatalf("got %+v, which it must not do", h)
				}
				return test.shows(h), fmt.Sprintf("%+v, at first %+v", h, settled)
			})
			eventually(t, "the way back is as ever", func() (bool, string) {
				h := listenTo(t, c, back)
				return h.Got > 0 && h.Fastest < late && h.Twice+h.Missing == 0, fmt.Sprintf("%+v", h)
			})
			eventually(t, "packets are counted", func() (bool, string) {
				got, err := c.Shaped(t.Context(), "f1")
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := got[there]; !ok || len(got) != 1 {
					t.Fatalf("got counts %v, want one of %v", got, there)
				}
				return got[there] > 0, fmt.Sprint(got)
			})
			// A bad link is no cut one.
			if got, err := c.Probe(t.Context(), []harness.Link{there, back}); err != nil || !got[there] || !got[back] {
				t.Errorf("probes under %s: got %v, %v; want both open", test.name, got, err)
			}
			if err := c.Unshape(t.Context(), "f1"); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Shaped(t.Context(), "f1"); err == nil {
				t.Errorf("a fault that was undone has counts: %v", got)
			}
			eventually(t, "the link is good again", func() (bool, string) {
				h := listenTo(t, c, there)
				return h.Got > 5 && h.Slowest < late && h.Twice+h.Missing+h.Overtaken == 0, fmt.Sprintf("%+v", h)
			})
		})
	}
}

func TestShapingsOverlapAndDoNotDisturbCuts(t *testing.T) {
	needEngine(t)
	o := chatterOptions(t, runName(t))
	o.Nodes = 3
	c := start(t, o)
	needQueue(t, c)
	ctx := t.Context()
	ab, cb := harness.Link{From: "n1", To: "n2"}, harness.Link{From: "n3", To: "n2"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Shape(ctx, "f1", []harness.Link{ab}, harness.Shape{Delay: 200 * time.Millisecond}))
	must(c.Shape(ctx, "f2", []harness.Link{ab, cb}, harness.Shape{Delay: 300 * time.Millisecond}))
	for l, want := range map[harness.Link]time.Duration{ab: 500 * time.Millisecond, cb: 300 * time.Millisecond} {
		eventually(t, "delays add up", func() (bool, string) {
			h := listenTo(t, c, l)
			return h.Got > 0 && h.Fastest >= want, fmt.Sprintf("%s->%s: %+v", l.From, l.To, h)
		})
	}
	must(c.Cut(ctx, "f3", []harness.Link{ab}))
	eventually(t, "a cut link carries nothing", func() (bool, string) {
		h := listenTo(t, c, ab)
		return h.Got == 0, fmt.Sprintf("%+v", h)
	})
	must(c.Unshape(ctx, "f1"))
	must(c.Mend(ctx, "f3"))
	eventually(t, "the other shaping holds", func() (bool, string) {
		h := listenTo(t, c, ab)
		return h.Got > 0 && h.Fastest >= 300*time.Millisecond && h.Slowest < 500*time.Millisecond, fmt.Sprintf("%+v", h)
	})
	got, err := c.Shaped(ctx, "f2")
	if err != nil || len(got) != 2 || got[ab] == 0 || got[cb] == 0 {
		t.Errorf("got %v, %v; want counts of both links", got, err)
	}
	// A shaper that dies lets packets pass, and is missed.
	r, p, err := c.pod("n2")
	must(err)
	must(r.cli.ContainerKill(ctx, p.shaper.id, "SIGKILL"))
	if got, err := c.Shaped(ctx, "f2"); err == nil {
		t.Errorf("a dead shaper's counts: %v", got)
	}
	must(c.Shape(ctx, "f2", []harness.Link{cb}, harness.Shape{Delay: 300 * time.Millisecond})) // another one
	eventually(t, "a new shaper works", func() (bool, string) {
		h := listenTo(t, c, cb)
		return h.Got > 0 && h.Fastest >= 300*time.Millisecond, fmt.Sprintf("%+v", h)
	})
	must(c.Unshape(ctx, "f2"))
	must(c.Unshape(ctx, "f2"))
}

func TestShapesThatCannotBeMadeAreRefused(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	link := []harness.Link{{From: "n1", To: "n2"}}
	for name, try := range map[string]error{
		"nothing":       c.Shape(t.Context(), "f1", link, harness.Shape{}),
		"impossible":    c.Shape(t.Context(), "f1", link, harness.Shape{Loss: 2}),
		"unknown nodes": c.Shape(t.Context(), "f1", []harness.Link{{From: "n1", To: "n9"}}, harness.Shape{Loss: 1}),
	} {
		if try == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	poor := &Cluster{opts: c.opts, now: c.now, rules: c.rules, shapings: c.shapings, dirty: c.dirty}
	poor.look.Do(func() { poor.canShape = kernel{lossy: true}.shapes() })
	err := poor.Shape(t.Context(), "f1", link, harness.Shape{Delay: time.Second})
	if err == nil || !strings.Contains(err.Error(), "no delay here, only [loss]") {
		t.Errorf("delay where there is no queue: got %v", err)
	}
	if len(c.shapings) > 0 {
		t.Errorf("in force: %v", slices.Collect(maps.Keys(c.shapings)))
	}
}
