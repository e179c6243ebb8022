package checker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A bug is how a simulated store is broken.
type bug string

const (
	correct       bug = "correct"
	noPruning     bug = "merge keeps superseded siblings"
	noContext     bug = "the coordinator ignores contexts"
	lastWins      bug = "the last write wins"
	forgets       bug = "some acknowledged writes are dropped"
	blindReplace  bug = "replication overwrites instead of merging"
	noAntiEntropy bug = "replicas are never compared"
	reaps         bug = "tombstones are forgotten while others lack them"
)

// A copyState is one replica's copy of a key, as explicit sets: everything it has heard
// of, and what of that is not superseded.
type copyState struct {
	heard    map[string]bool
	siblings map[string]harness.Sibling
}

func newCopy() copyState {
	return copyState{heard: make(map[string]bool), siblings: make(map[string]harness.Sibling)}
}

func (c copyState) clone() copyState {
	return copyState{heard: maps.Clone(c.heard), siblings: maps.Clone(c.siblings)}
}

// merge adds o to c: a sibling stays if the other side has it, too, or never heard of it.
func (c *copyState) merge(o copyState, b bug) {
	if b == blindReplace {
		*c = o.clone()
		return
	}
	out := newCopy()
	for _, pair := range [][2]copyState{{*c, o}, {o, *c}} {
		for id, s := range pair[0].siblings {
			if _, both := pair[1].siblings[id]; both || !pair[1].heard[id] || b == noPruning {
				out.siblings[id] = s
			}
		}
		maps.Copy(out.heard, pair[0].heard)
	}
	if b == lastWins {
		last := slices.MaxFunc(append(slices.Collect(maps.Keys(out.siblings)), ""), byAge)
		maps.DeleteFunc(out.siblings, func(id string, _ harness.Sibling) bool { return id != last })
	}
	*c = out
}

// byAge compares ids like v7, which are numbered in the order of their writes.
func byAge(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// write adds a version that supersedes what its context has heard of.
func (c *copyState) write(id string, s harness.Sibling, context []string, b bug) {
	if b == noContext {
		context = nil
	}
	for _, old := range context {
		c.heard[old] = true
		delete(c.siblings, old)
	}
	c.heard[id] = true
	c.siblings[id] = s
	if b == lastWins {
		maps.DeleteFunc(c.siblings, func(other string, _ harness.Sibling) bool { return other != id })
	}
}

// token lists what the copy has heard of: the oracle for D.
func (c copyState) token() []byte { return []byte(strings.Join(sortedKeys(c.heard), " ")) }

func (c copyState) shown() []harness.Sibling {
	var out []harness.Sibling
	for _, id := range sortedKeys(c.siblings) {
		out = append(out, c.siblings[id])
	}
	return out
}

const (
	simReplicas = 3
	simClients  = 4
	simSteps    = 300
)

// A simulation runs clients against replicas of two carts, one step at a time.
type simulation struct {
	r       *rand.Rand
	b       bug
	h       []harness.Op
	copies  map[string][]copyState
	clients []*simClient
	late    []func() // writes of unknown outcome that may still take effect
	writes  int
	time    time.Duration
}

type simClient struct {
	process  int
	op       *harness.Op // in flight
	answer   *copyState  // it was executed
	unsure   bool
	lastRead harness.Op
}

// simulate returns a history of a store with a bug.
func simulate(seed uint64, b bug) []harness.Op {
	s := &simulation{r: rand.New(rand.NewPCG(seed, 1)), b: b, copies: make(map[string][]copyState)}
	for _, key := range []string{"c1", "c2"} {
		for range simReplicas {
			s.copies[key] = append(s.copies[key], newCopy())
		}
	}
	for i := range simClients {
		s.clients = append(s.clients, &simClient{process: i})
	}
	for range simSteps {
		s.step(s.clients[s.r.IntN(simClients)])
		if len(s.late) > 0 && s.r.IntN(20) == 0 {
			s.late[0]()
			s.late = s.late[1:]
		}
	}
	for _, c := range s.clients {
		for c.op != nil {
			s.step(c)
		}
	}
	s.final()
	return s.h
}

func (s *simulation) add(op harness.Op) {
	s.time += time.Duration(s.r.IntN(3)) * time.Millisecond // sometimes the same instant
	op.Index, op.Time = len(s.h), s.time
	s.h = append(s.h, op)
}

// step invokes, executes or completes a client's operation.
func (s *simulation) step(c *simClient) {
	switch {
	case c.op == nil:
		op := s.next(c)
		op.Process, op.Kind, op.Phase = c.process, harness.Invoke, harness.Load
		s.add(op)
		c.op = &op
	case c.answer == nil:
		answer := newCopy()
		c.unsure = s.r.IntN(12) == 0
		do := func() { answer = s.execute(*c.op) }
		if op := *c.op; c.unsure && s.r.IntN(2) == 0 {
			s.late = append(s.late, func() { s.execute(op) })
		} else {
			do()
		}
		c.answer = &answer
	default:
		op := *c.op
		switch {
		case !c.unsure:
			op.Kind, op.Siblings, op.Token = harness.OK, c.answer.shown(), c.answer.token()
		case op.IsWrite():
			op.Kind, op.Error = harness.Info, "no answer"
		default:
			op.Kind, op.Error = harness.Fail, "no answer"
		}
		s.add(op)
		if op.F == harness.Get && op.Kind == harness.OK {
			c.lastRead = op
		}
		if op.Kind == harness.Info {
			c.process += simClients
		}
		c.op, c.answer = nil, nil
	}
}

// next reads, or writes what follows from the client's last read; sometimes blindly.
func (s *simulation) next(c *simClient) harness.Op {
	read := c.lastRead
	if read.Key == "" || s.r.IntN(3) == 0 {
		return harness.Op{F: harness.Get, Key: []string{"c1", "c2"}[s.r.IntN(2)]}
	}
	s.writes++
	if s.r.IntN(6) == 0 {
		read.Siblings, read.Token = nil, nil
	}
	op := harness.Op{F: harness.Put, Key: read.Key, Context: read.Token}
	have := items(read.Siblings)
	c.lastRead = harness.Op{}
	switch n := s.r.IntN(10); {
	case n == 0 && len(read.Token) > 0:
		op.F = harness.Delete
		return op
	case n < 3 && len(have) > 0:
		op.Action, op.Element = "remove", have[0]
		have = have[1:]
	default:
		op.Action, op.Element = "add", fmt.Sprintf("e%d", s.writes)
		have = append(have, op.Element)
	}
	op.Value = cartValue(fmt.Sprintf("v%d", s.writes), strings.Join(have, ","))
	return op
}

func (s *simulation) execute(op harness.Op) copyState {
	copies := s.copies[op.Key]
	order := s.r.Perm(simReplicas)
	if op.F == harness.Get {
		merged := copies[order[0]].clone()
		for _, i := range order[1 : 1+s.r.IntN(simReplicas)] {
			merged.merge(copies[i], s.b)
		}
		return merged
	}
	at := &copies[order[0]]
	id, sibling := label(op.Value), harness.Sibling{Value: op.Value}
	if op.F == harness.Delete {
		id = fmt.Sprintf("d%d", s.writes*10+op.Process%simClients)
		sibling = harness.Sibling{Tombstone: true, Write: id}
	}
	before := at.clone()
	at.write(id, sibling, strings.Fields(string(op.Context)), s.b)
	answer := at.clone()
	if s.b == forgets && s.r.IntN(8) == 0 {
		*at = before
		return answer
	}
	for _, i := range order[1 : 1+s.r.IntN(simReplicas)] {
		copies[i].merge(answer, s.b)
	}
	if s.b == reaps {
		for i := range copies {
			if len(live(copies[i].shown())) == 0 {
				copies[i] = newCopy()
			}
		}
	}
	return answer
}

// final lets the replicas compare until nothing changes, and reads them all.
func (s *simulation) final() {
	for _, key := range sortedKeys(s.copies) {
		copies := s.copies[key]
		if s.b != noAntiEntropy {
			for range simReplicas {
				for i := range copies {
					copies[(i+1)%simReplicas].merge(copies[i], s.b)
				}
			}
		}
		for i, c := range copies {
			op := harness.Op{
				Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.ReplicaRead, Phase: harness.Final,
				Key: key, Node: harness.NodeID(fmt.Sprintf("n%d", i+1)),
			}
			s.add(op)
			op.Kind, op.Siblings, op.Token = harness.OK, c.shown(), c.token()
			op.State = string(op.Token) + "|" + harness.SiblingSet(op.Siblings)
			s.add(op)
		}
	}
}

func siblingCheckers() []harness.Checker {
	return Together(Sanity(), Convergence(), LostWrites(), Elements())
}

func TestHistoriesOfACorrectStoreAreValid(t *testing.T) {
	checkers := siblingCheckers()
	for seed := range uint64(150) {
		h := simulate(seed, correct)
		if err := history.Validate(h); err != nil {
			t.Fatal(err)
		}
		for _, c := range checkers {
			if f := c.Check(t.Context(), h); f.Verdict != harness.Valid {
				t.Fatalf("seed %d: %s: %s: %s\n%s", seed, c.Name(), f.Verdict, f.Summary, strings.Join(stories(f), "\n"))
			}
		}
	}
}

func stories(f harness.Finding) []string {
	var out []string
	for _, a := range f.Anomalies {
		out = append(out, a.Story...)
	}
	return out
}

// TestEveryBugIsCaught plants a bug and wants the checker that is made for it to name it,
// in at least half of the runs; a resurrection in some, since it takes a key whose last
// word is a delete.
func TestEveryBugIsCaught(t *testing.T) {
	const runs = 40
	for _, c := range []struct {
		bug     bug
		checker harness.Checker
		kind    string
		least   int // runs
	}{
		{noPruning, Sanity(), FalseSibling, runs / 2},
		{noContext, Sanity(), FalseSibling, runs / 2},
		{lastWins, LostWrites(), LostWrite, runs / 2},
		{lastWins, Elements(), LostElement, runs / 2},
		{forgets, LostWrites(), LostWrite, runs / 2},
		{forgets, Elements(), LostElement, runs / 2},
		{blindReplace, LostWrites(), LostWrite, runs / 2},
		{noAntiEntropy, Convergence(), Divergent, runs / 2},
		{reaps, LostWrites(), Resurrected, 3},
	} {
		t.Run(string(c.bug)+"/"+c.kind, func(t *testing.T) {
			caught := 0
			for seed := range uint64(runs) {
				h := simulate(seed, c.bug)
				f := c.checker.Check(t.Context(), h)
				if f.Counts[c.kind] > 0 {
					caught++
				}
				if f.Counts[c.kind] > 0 != slices.ContainsFunc(f.Anomalies, func(a harness.Anomaly) bool { return a.Kind == c.kind }) {
					t.Fatalf("seed %d: %d counted, but told: %+v", seed, f.Counts[c.kind], f.Anomalies)
				}
				for _, a := range f.Anomalies {
					if len(a.Story) == 0 || len(a.Ops) == 0 || !slices.IsSorted(a.Ops) {
						t.Fatalf("seed %d: no proof: %+v", seed, a)
					}
				}
			}
			if caught < c.least {
				t.Errorf("caught in %d of %d runs, want %d", caught, runs, c.least)
			}
		})
	}
}

// TestIndexAgreesWithExplicitSets compares D of every answer with what the simulated
// replicas had heard of, which their tokens list.
func TestIndexAgreesWithExplicitSets(t *testing.T) {
	compared := 0
	for seed := range uint64(80) {
		x, err := newIndex(t.Context(), simulate(seed, correct))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range x.keys {
			names := make(map[int]string) // deletes by their tombstones
			for name, w := range k.byWrite {
				names[w] = name
			}
			for i, a := range k.answers {
				heard := strings.Fields(string(k.h[a.done].Token))
				for j := range k.writes {
					w := &k.writes[j]
					id := label(k.h[w.inv].Value)
					if w.tombstone {
						id = names[j]
					}
					if got, want := a.holds(w), slices.Contains(heard, id); got != want && !a.open {
						t.Fatalf("seed %d, key %s, answer %d (op %d), write %s: in D %t, heard of %t", seed, k.key, i, k.h[a.inv].Index, id, got, want)
					}
					compared++
				}
			}
		}
	}
	if compared < 50_000 {
		t.Errorf("only %d memberships compared", compared)
	}
}

// TestKeysAreJudgedIndependently is a law: what is found in a history is what is found
// in its keys one by one.
func TestKeysAreJudgedIndependently(t *testing.T) {
	for seed := range uint64(10) {
		for _, b := range []bug{noPruning, forgets, noAntiEntropy} {
			h := simulate(seed, b)
			for _, c := range []harness.Checker{Sanity(), Convergence(), LostWrites(), Elements()} {
				sum := make(map[string]int)
				for _, key := range []string{"c1", "c2"} {
					part := slices.DeleteFunc(slices.Clone(h), func(op harness.Op) bool { return op.Key != key })
					for kind, n := range c.Check(t.Context(), part).Counts {
						sum[kind] += n
					}
				}
				if got := c.Check(t.Context(), h).Counts; !maps.Equal(got, sum) {
					t.Errorf("seed %d, %s, %s: together %v, one by one %v", seed, b, c.Name(), got, sum)
				}
			}
		}
	}
}
