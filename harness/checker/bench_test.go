package checker

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cartwheel/harness"
)

// A load is a history made as it goes by: clients read a key and write it with the
// context of what they read, and at the end three copies of each key are read.
type load struct {
	ops, keys, clients int
	blind              float64 // share of puts without a context
	seed               uint64
}

type loadKey struct {
	name     string
	siblings []harness.Sibling
	token    []byte
}

type loadClient struct {
	op   harness.Op
	step int // 0: get, 1: its answer, 2: put, 3: its answer
	at   *loadKey
	seen []harness.Sibling
}

func (l load) lines() iter.Seq[harness.Op] {
	return func(yield func(harness.Op) bool) {
		r := rand.New(rand.NewPCG(l.seed, 1))
		keys, clients := make([]loadKey, l.keys), make([]loadClient, l.clients)
		for i := range keys {
			keys[i].name = "k" + strconv.Itoa(i)
		}
		line, tokens := 0, uint64(0)
		put := func(op harness.Op) bool {
			op.Index, op.Time = line, time.Duration(line)*100
			line++
			return yield(op)
		}
		for done := 0; done < l.ops; {
			i := r.IntN(l.clients)
			c := &clients[i]
			switch c.step {
			case 0:
				c.at = &keys[r.IntN(l.keys)]
				c.op = harness.Op{Process: i, Kind: harness.Invoke, F: harness.Get, Key: c.at.name, Node: "n1", Phase: harness.Load}
			case 1, 3:
				c.op.Kind = harness.OK
				if done++; c.step == 3 {
					c.at.put(c.op.Value, c.seen, &tokens)
				} else {
					c.seen = c.at.siblings
				}
				c.op.Siblings, c.op.Token = c.at.siblings, c.at.token
			case 2:
				token := c.op.Token // of this client's get just before
				if r.Float64() < l.blind {
					token, c.seen = nil, nil
				}
				c.op = harness.Op{Process: i, Kind: harness.Invoke, F: harness.Put, Key: c.at.name, Node: "n1", Phase: harness.Load, Context: token, Value: "v" + strconv.Itoa(line)}
			}
			c.step = (c.step + 1) % 4
			if !put(c.op) {
				return
			}
		}
		for i := range keys {
			for _, n := range []harness.NodeID{"n1", "n2", "n3"} {
				op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.ReplicaRead, Phase: harness.Final, Key: keys[i].name, Node: n}
				if !put(op) {
					return
				}
				op.Kind, op.Siblings, op.Token, op.State = harness.OK, keys[i].siblings, keys[i].token, "s"
				if !put(op) {
					return
				}
			}
		}
	}
}

// put leaves the siblings that the writer had not seen, and its own.
func (k *loadKey) put(value string, seen []harness.Sibling, tokens *uint64) {
	kept := make([]harness.Sibling, 0, len(k.siblings)+1)
	for _, s := range k.siblings {
		known := false
		for _, o := range seen {
			known = known || o.Value == s.Value
		}
		if !known {
			kept = append(kept, s)
		}
	}
	k.siblings = append(kept, harness.Sibling{Value: value})
	*tokens++
	k.token = strconv.AppendUint(nil, *tokens, 36)
}

// cpu is what this process has used of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process ever had, in bytes.
func peak(t *testing.T) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib * 1024
}

func figure(name string, value float64, unit string) {
	fmt.Printf("figure %s %.4g %s\n", name, value, unit)
}

// defaultSet is what a workload of siblings is judged by.
func defaultSet() []harness.Checker {
	return Under(Claims{Mode: WriteBack}, LostWrites(), Convergence(), Copies(), Sanity(), Recency(), Sessions(), MVR(), Siblings())
}

// judgeLoad streams a load through the default set.
func judgeLoad(t *testing.T, l load) (wall, used time.Duration) {
	t.Helper()
	s, err := NewStream(defaultSet()...)
	if err != nil {
		t.Fatal(err)
	}
	began, before := time.Now(), cpu()
	for op := range l.lines() {
		s.Add(op)
	}
	for _, f := range s.Judge(t.Context(), nil) {
		if f.Verdict != harness.Valid {
			t.Fatalf("%s: %s: %s", f.Checker, f.Verdict, f.Summary)
		}
	}
	return time.Since(began), cpu() - before
}

// TestBench prints how fast histories are judged, with what making them takes included.
// It runs in a process of its own: make bench-check.
func TestBench(t *testing.T) {
	part := os.Getenv("CARTWHEEL_BENCH_CHECK")
	ops, _ := strconv.Atoi(os.Getenv("CARTWHEEL_BENCH_OPS"))
	switch part {
	case "":
		t.Skip("make bench-check runs it")
	case "large":
		l := load{ops: 10_000_000, keys: 10_000, clients: 50, seed: 1}
		if ops > 0 {
			l.ops = ops
		}
		wall, used := judgeLoad(t, l)
		figure("check_10m_seconds", wall.Seconds(), "s")
		figure("check_10m_cpu_seconds", used.Seconds(), "s")
		figure("check_10m_peak_memory", peak(t)/1e9, "GB")
		figure("check_ops_per_second", float64(l.ops)/wall.Seconds(), "1/s")
	case "hot":
		wall, used := judgeLoad(t, load{ops: 100_000, keys: 1, clients: 50, seed: 2})
		figure("check_hot_key_seconds", wall.Seconds(), "s")
		figure("check_hot_key_cpu_seconds", used.Seconds(), "s")
		wall, used = judgeLoad(t, load{ops: 100_000, keys: 1, clients: 50, blind: 0.05, seed: 2})
		figure("check_hot_key_blind_seconds", wall.Seconds(), "s")
		figure("check_hot_key_blind_cpu_seconds", used.Seconds(), "s")
		figure("check_hot_key_peak_memory", peak(t)/1e9, "GB")
	case "causal":
		l := load{ops: 1_000_000, keys: 1_000, clients: 50, seed: 3}
		s, err := NewStream(Causal())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for op := range l.lines() {
			s.Add(op)
		}
		f := s.Judge(t.Context(), nil)[0]
		figure("check_causal_1m_seconds", time.Since(began).Seconds(), "s")
		t.Logf("%s: %s", f.Verdict, f.Summary)
	case "zones":
		benchZones(t)
	}
}

// benchZones judges one history of registers by zones and by Porcupine.
func benchZones(t *testing.T) {
	var h []harness.Op
	for op := range (load{ops: 1_000_000, keys: 1_000, clients: 50, seed: 4}).lines() {
		if op.F == harness.ReplicaRead {
			continue
		}
		if op.F == harness.Get && op.Kind == harness.OK && len(op.Siblings) > 0 {
			op.Siblings = op.Siblings[len(op.Siblings)-1:] // the last write wins: a register
		}
		h = append(h, op)
	}
	began, before := time.Now(), cpu()
	f := Zones().Check(t.Context(), h)
	figure("zones_1m_seconds", time.Since(began).Seconds(), "s")
	figure("zones_1m_cpu_seconds", (cpu() - before).Seconds(), "s")
	if f.Verdict != harness.Valid {
		t.Fatalf("%s: %s", f.Verdict, f.Summary)
	}
	began, before = time.Now(), cpu()
	f = Linearizable(Budget{Time: time.Minute, Memory: 4 << 30, Ops: 1 << 20}).Check(t.Context(), h)
	figure("zones_and_porcupine_1m_seconds", time.Since(began).Seconds(), "s")
	figure("zones_and_porcupine_1m_cpu_seconds", (cpu() - before).Seconds(), "s")
	t.Logf("Porcupine and zones: %s: %s", f.Verdict, f.Summary)
}
