package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
)

var fixtureNodes = []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}

// A fixture is a run that never took place: carts on five nodes, a partition, a pause
// inside it, a one-way cut, and one added element that nobody has at the end.
type fixture struct {
	rnd    *rand.Rand
	lines  []harness.Op
	faults []harness.FaultRecord
	proof  []int // invocations: read, write, read, lost write, ..., final reads
}

func newFixture() *fixture {
	f := &fixture{rnd: rand.New(rand.NewPCG(7, 7))}
	f.addFaults()
	f.addLoad()
	f.addStory()
	f.addFinals()
	// Lines were made call by call; a history is in order of time.
	slices.SortStableFunc(f.lines, func(a, b harness.Op) int { return cmp.Compare(a.Time, b.Time) })
	moved := make(map[int]int)
	for i := range f.lines {
		moved[f.lines[i].Index] = i
		f.lines[i].Index = i
	}
	for i := range f.proof {
		f.proof[i] = moved[f.proof[i]]
	}
	return f
}

func (f *fixture) addFaults() {
	fault := func(kind, name string, start, stop float64, nodes []harness.NodeID, links []harness.Link, problems ...string) {
		id := fmt.Sprintf("f%d", len(f.faults)+1)
		ev := harness.Evidence{Injected: seconds(start + 0.18), Healed: seconds(stop + 0.1), Dropped: uint64(len(links) * 37), Problems: problems}
		for _, when := range []string{"before", "during", "after"} {
			for _, l := range links {
				want := when != "during"
				got := want || len(problems) > 0 && l.From == "n2"
				ev.Probes = append(ev.Probes, harness.Probe{When: when, What: fmt.Sprintf("%s->%s open", l.From, l.To), Want: want, Got: got, Time: seconds(start)})
			}
		}
		if kind == "pause" {
			for when, want := range map[string]bool{"before": false, "during": true, "after": false} {
				ev.Probes = append(ev.Probes, harness.Probe{When: when, What: fmt.Sprintf("%s paused", nodes[0]), Want: want, Got: want})
			}
		}
		f.faults = append(f.faults, harness.FaultRecord{
			Fault:    harness.Fault{ID: id, Kind: kind, Name: name, Start: seconds(start), Stop: seconds(stop), Nodes: nodes, Links: links},
			Evidence: ev, Ops: 700,
		})
	}
	var halves []harness.Link
	for _, a := range []harness.NodeID{"n1", "n2"} {
		for _, b := range []harness.NodeID{"n3", "n4", "n5"} {
			halves = append(halves, harness.Link{From: a, To: b}, harness.Link{From: b, To: a})
		}
	}
	fault("partition", "halves", 4, 9, []harness.NodeID{"n1", "n2"}, halves)
	fault("pause", "one", 7, 11.5, []harness.NodeID{"n4"}, nil)
	fault("partition", "one-way", 15, 19.2, []harness.NodeID{"n2"}, []harness.Link{{From: "n2", To: "n1"}, {From: "n2", To: "n3"}}, "n2->n1 was open during the fault")
	fault("pause", "minority", 22, 26, []harness.NodeID{"n1", "n5"}, nil)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// hit returns the kinds of fault that a node suffers at a time.
func (f *fixture) hit(n harness.NodeID, at time.Duration) (cut, paused bool) {
	for _, r := range f.faults {
		if at < r.Evidence.Injected || at > r.Evidence.Healed || !slices.Contains(r.Fault.Nodes, n) {
			continue
		}
		cut, paused = cut || r.Fault.Kind == "partition", paused || r.Fault.Kind == "pause"
	}
	return cut, paused
}

func (f *fixture) call(inv, done harness.Op, took time.Duration) int {
	inv.Index, inv.Kind = len(f.lines), harness.Invoke
	done.Process, done.F, done.Key, done.Node, done.Value = inv.Process, inv.F, inv.Key, inv.Node, inv.Value
	done.Action, done.Element, done.Context, done.Phase = inv.Action, inv.Element, inv.Context, inv.Phase
	done.Index, done.Time = inv.Index+1, inv.Time+took
	f.lines = append(f.lines, inv, done)
	return inv.Index
}

// addLoad lets ten threads work for thirty seconds.
func (f *fixture) addLoad() {
	for thread := range 10 {
		process, element := thread, 0
		for at := seconds(f.rnd.Float64() / 5); at < 30*time.Second; {
			n := fixtureNodes[thread%5]
			cut, paused := f.hit(n, at)
			took := seconds(0.0012 * math.Exp(f.rnd.NormFloat64()*0.5))
			inv := harness.Op{Time: at, Process: process, F: harness.Get, Key: fmt.Sprintf("cart:%d", f.rnd.IntN(4)), Node: n, Phase: harness.Load}
			done := harness.Op{Kind: harness.OK}
			if f.rnd.IntN(2) == 0 {
				element++
				inv.F, inv.Action, inv.Element = harness.Put, "add", fmt.Sprintf("e%d-%d", thread, element)
				inv.Value = cartValue(inv.Element, inv.Element)
				took *= 2
			}
			for range 1 + f.rnd.IntN(1+int(at.Seconds())%4) {
				done.Siblings = append(done.Siblings, harness.Sibling{Value: cartValue(fmt.Sprint(f.rnd.Uint32()), "milk")})
			}
			switch {
			case paused:
				took, done = 3*time.Second, harness.Op{Kind: harness.Info, Error: "deadline exceeded"}
			case cut && f.rnd.IntN(4) == 0:
				took, done = seconds(0.4+f.rnd.Float64()), harness.Op{Kind: harness.Fail, Error: "no quorum: 1 of 2"}
			case cut:
				took *= 20
			}
			if done.Kind == harness.Info && inv.F == harness.Get {
				done.Kind = harness.Fail
			}
			f.call(inv, done, took)
			if done.Kind == harness.Info {
				process += 10
			}
			at += took + seconds(f.rnd.ExpFloat64()*0.12)
		}
	}
}

func cartValue(id string, items ...string) string {
	b, _ := json.Marshal(map[string]any{"id": id, "items": items})
	return string(b)
}

// addStory is the life of one cart: two writers had both seen {milk}, and what one of
// them added is gone.
func (f *fixture) addStory() {
	const key = "cart:17"
	milk, eggs, flour := cartValue("w1", "milk"), cartValue("w2", "milk", "eggs"), cartValue("w3", "milk", "flour")
	meta := func(nodes ...harness.Reply) *harness.Meta {
		return &harness.Meta{Coordinator: nodes[0].Node, Replies: nodes}
	}
	ok := func(n harness.NodeID) harness.Reply { return harness.Reply{Node: n, State: "ok"} }
	add := func(at float64, process int, n harness.NodeID, element, value, ctx string, took float64, m *harness.Meta) int {
		return f.call(harness.Op{Time: seconds(at), Process: process, F: harness.Put, Key: key, Node: n, Action: "add", Element: element, Value: value, Context: []byte(ctx), Phase: harness.Load},
			harness.Op{Kind: harness.OK, Meta: m, Siblings: []harness.Sibling{{Value: value}}, Token: []byte("t" + element)}, seconds(took))
	}
	read := func(at float64, process int, n harness.NodeID, token string, values ...string) int {
		done := harness.Op{Kind: harness.OK, Token: []byte(token)}
		for _, v := range values {
			done.Siblings = append(done.Siblings, harness.Sibling{Value: v})
		}
		return f.call(harness.Op{Time: seconds(at), Process: process, F: harness.Get, Key: key, Node: n, Phase: harness.Load}, done, seconds(0.0021))
	}
	w1 := add(3.5, 101, "n1", "milk", milk, "", 0.004, meta(ok("n1"), ok("n2"), ok("n3")))
	r1 := read(4.3, 102, "n1", "r1", milk)
	r2 := read(4.6, 103, "n3", "r2", milk)
	w2 := add(4.9, 102, "n1", "eggs", eggs, "r1", 0.031, meta(ok("n1"), ok("n2")))
	w3 := add(5.2, 103, "n3", "flour", flour, "r2", 0.012, meta(ok("n3"), harness.Reply{Node: "n4", For: "n1", State: "ok"}))
	r3 := read(6.1, 102, "n1", "r3", eggs)
	r4 := read(12.4, 104, "n2", "r4", flour)
	add(13, 104, "n2", "tea", cartValue("w4", "milk", "flour", "tea"), "r4", 0.003, meta(ok("n1"), ok("n2"), ok("n3")))
	f.proof = []int{w1, w2, r1, r2, w3, r3, r4}
}

func (f *fixture) addFinals() {
	for k := range 4 {
		for i, n := range fixtureNodes[:3] {
			f.final(fmt.Sprintf("cart:%d", k), n, "same", seconds(33+float64(k)/10+float64(i)/100), cartValue("last", "milk", "tea"))
		}
	}
	for i, n := range fixtureNodes[:3] {
		state, value := "a", cartValue("w4", "milk", "flour", "tea")
		if n == "n3" {
			state, value = "b", cartValue("w3", "milk", "flour")
		}
		f.proof = append(f.proof, f.final("cart:17", n, state, seconds(34+float64(i)/100), value))
	}
}

func (f *fixture) final(key string, n harness.NodeID, state string, at time.Duration, value string) int {
	return f.call(harness.Op{Time: at, Process: harness.FinalProcess, F: harness.ReplicaRead, Key: key, Node: n, Phase: harness.Final},
		harness.Op{Kind: harness.OK, State: state, Siblings: []harness.Sibling{{Value: value}}}, 2*time.Millisecond)
}

func (f *fixture) result() harness.Result {
	var plan []harness.Fault
	for _, r := range f.faults {
		plan = append(plan, r.Fault)
	}
	p := f.proof
	story := []string{
		fmt.Sprintf("“add eggs” (op %d by client 102, acknowledged by n1 and n2 at +4.931 s) is in no copy at the end.", p[1]),
		fmt.Sprintf("Op %d read {milk} at n3; op %d wrote {milk flour} with that context, so eggs was not in it: the two writes are concurrent and both had to survive.", p[3], p[4]),
		"n1 and n2 end with {milk flour tea}, n3 with {milk flour}.",
		fmt.Sprintf("eggs was last returned by op %d at n1 (+6.102 s) and first missing in op %d at n2 (+12.402 s). Between them f1 (partition halves) healed at +9.100 s and f2 (pause n4) at +11.600 s.", p[5], p[6]),
	}
	return harness.Result{
		Plan: harness.Plan{
			Suite: "cart", Workload: "cart", Nemesis: "partition,pause", World: "docker", Target: "cartwheel", Seed: 4711,
			Nodes: fixtureNodes, Concurrency: 10, Time: 30 * time.Second, Schedule: plan,
			Read: harness.ReadOptions{R: 2}, Write: harness.WriteOptions{W: 2},
			Repeat: "cartwheel test --workload cart --nemesis partition,pause --time 30s --seed 4711",
		},
		Verdict: harness.Invalid,
		Reasons: []string{
			"An acknowledged write was lost: “add eggs” on cart:17 is in no copy at the end.",
			"The copies of 1 of 5 keys differ.",
			"Fault f3 (partition one-way) is not proven: n2->n1 was open during the fault.",
		},
		Findings: []harness.Finding{
			{Checker: "sanity", Verdict: harness.Valid, Summary: "3 120 reads showed no phantom, no failed write and no superseded sibling."},
			{
				Checker: "lost-writes", Verdict: harness.Invalid, Summary: "1 of 2 981 acknowledged writes is in no copy's past.",
				Counts: map[string]int{"lost-write": 1}, Figures: map[string]float64{"acknowledged": 2981, "lost_ratio": 0.000335},
				Anomalies: []harness.Anomaly{{Kind: "lost-write", Key: "cart:17", Element: "eggs", Story: story, Ops: append([]int{p[1], p[0]}, p[2:]...)}},
			},
			{
				Checker: "convergence", Verdict: harness.Invalid, Summary: "1 of 5 keys has copies that differ after everything was quiet.",
				Counts:    map[string]int{"divergent": 1},
				Anomalies: []harness.Anomaly{{Kind: "divergent", Key: "cart:17", Story: []string{"n1 and n2 hold {milk flour tea}, n3 holds {milk flour}."}, Ops: p[7:]}},
			},
			{
				Checker: "linearizable", Verdict: harness.Unknown, Summary: "The search for key cart:2 was given up after 10 s.",
				Picture: []byte(`<!doctype html><title>p</title><p id="drawn">"lanes" & <b>steps</b></p>`),
			},
		},
		Faults:  f.faults,
		Events:  []harness.EventRecord{{Name: "a write was hinted", Count: 212}, {Name: "siblings were merged", Count: 0}},
		Stats:   harness.Stats{OK: 5400, Fail: 210, Info: 40},
		Started: time.Date(2026, 11, 22, 21, 4, 9, 0, time.UTC),
		Phases: []harness.PhaseRecord{
			{Phase: harness.Load, Start: 0, End: 30 * time.Second},
			{Phase: harness.Settle, Start: 30 * time.Second, End: seconds(32.9)},
			{Phase: harness.Final, Start: seconds(32.9), End: seconds(34.4)},
		},
	}
}
