package register

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

// tokens completes operations with a token of their own, and now and then without an answer.
func tokens(op harness.Op, r *rand.Rand) (harness.Op, time.Duration) {
	op.Kind, op.Token = harness.OK, fmt.Append(nil, op.Index)
	switch n := r.IntN(50); {
	case n == 0 && op.IsWrite():
		op.Kind, op.Token = harness.Info, nil
	case n < 3:
		op.Kind, op.Token = harness.Fail, nil
	}
	return op, time.Duration(1 + r.Int64N(int64(20*time.Millisecond)))
}

func simulate(t *testing.T, make func(harness.Setup) harness.Generator, threads int) []harness.Op {
	t.Helper()
	g := make(harness.Setup{Concurrency: threads, Seed: 1})
	h, err := gentest.Simulate(g, gentest.Options{Seed: 1, Threads: threads, OpsMax: 4000, Execute: tokens})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEveryKeyHasOneWriterAndFewClients(t *testing.T) {
	for _, threads := range []int{1, 2, 5, 6, 10, 13} {
		writers, clients := map[string]map[int]bool{}, map[string]map[int]bool{}
		note := func(m map[string]map[int]bool, key string, thread int) {
			if m[key] == nil {
				m[key] = map[int]bool{}
			}
			m[key][thread] = true
		}
		for _, op := range gentest.Invocations(simulate(t, Generator, threads)) {
			note(clients, op.Key, op.Process%threads)
			if op.IsWrite() {
				note(writers, op.Key, op.Process%threads)
			}
		}
		for k := range clients {
			if len(writers[k]) > 1 || len(clients[k]) > perKey {
				t.Errorf("%d threads: %s has %d writers and %d clients, want 1 and at most %d", threads, k, len(writers[k]), len(clients[k]), perKey)
			}
		}
		if len(clients) < 20 {
			t.Errorf("%d threads: only %d keys", threads, len(clients))
		}
	}
}

// The contexts of a key form one chain: each put continues the last of its writer's
// operations that succeeded, so versions never branch.
func TestWritersContinueTheirOwnLastVersion(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(harness.Setup) harness.Generator
		gets bool // give context, too
	}{
		{name: "strict", make: Generator, gets: true},
		{name: "weak", make: weakGenerator},
	} {
		t.Run(c.name, func(t *testing.T) {
			const threads = 10
			last, writer := map[string]string{}, map[string]int{}
			puts := 0
			for _, op := range simulate(t, c.make, threads) {
				thread := op.Process % threads
				if op.IsWrite() && op.Kind == harness.Invoke {
					puts++
					writer[op.Key] = thread
					if string(op.Context) != last[op.Key] {
						t.Fatalf("op %d continues %q, want %q", op.Index, op.Context, last[op.Key])
					}
				}
				// Threads 0 and 1 are the writers of the two groups.
				if op.Kind == harness.OK && thread < 2 && (op.IsWrite() || c.gets) {
					last[op.Key] = string(op.Token)
				}
			}
			if puts < 500 {
				t.Errorf("only %d puts", puts)
			}
		})
	}
}

func TestAKeyIsLeftAloneAfterAnIndeterminatePut(t *testing.T) {
	left, rotated := map[string]bool{}, 0
	begun := map[string]int{}
	for _, op := range simulate(t, Generator, 10) {
		if op.Kind == harness.Invoke && op.IsWrite() && left[op.Key] {
			t.Fatalf("op %d writes %s after a put of unknown outcome", op.Index, op.Key)
		}
		if op.Kind == harness.Info {
			left[op.Key] = true
		}
		if op.Kind == harness.Invoke {
			if begun[op.Key]++; begun[op.Key] == opsMax {
				rotated++
			}
		}
	}
	if len(left) < 5 || rotated < 3 {
		t.Errorf("%d keys left, %d full; want some of both", len(left), rotated)
	}
	for key, n := range begun {
		if n > 2*opsMax { // gets that look back, and those under way when it was full
			t.Errorf("%s has %d operations", key, n)
		}
	}
}

func TestReadersLookBackAtTheKeyBefore(t *testing.T) {
	var n int
	done := map[string]bool{}
	current := map[int]string{} // by group
	for _, op := range gentest.Invocations(simulate(t, Generator, 10)) {
		g := op.Process % 10 % 2
		if op.IsWrite() {
			done[current[g]] = current[g] != op.Key
			current[g] = op.Key
		} else if done[op.Key] {
			n++
		}
	}
	if n < 50 {
		t.Errorf("%d looks at finished keys, want some", n)
	}
}

// Where reads alone repair there are many keys: most are left soon, and read again long after, by whoever of the
// group looks back at any of them.
func TestManyKeysAreLeftSoonAndReadAgainLater(t *testing.T) {
	const threads = 10
	h := gentest.Invocations(simulate(t, Mended().Generator, threads))
	writer, current := map[string]int{}, map[int]string{}
	keys, puts, gets, back, older := map[string]int{}, 0, 0, 0, 0
	before := map[int]string{}
	for _, op := range h {
		thread := op.Process % threads
		group := thread % 2
		if op.IsWrite() {
			if w, known := writer[op.Key]; known && w != thread {
				t.Fatalf("op %d: %s has two writers", op.Index, op.Key)
			}
			writer[op.Key] = thread
			if keys[op.Key]++; keys[op.Key] > opsFew {
				t.Fatalf("op %d: %s is put to %d times", op.Index, op.Key, keys[op.Key])
			}
			if current[group] != op.Key {
				before[group], current[group] = current[group], op.Key
			}
			puts++
			continue
		}
		gets++
		if _, written := writer[op.Key]; written && op.Key != current[group] {
			back++
			if op.Key != before[group] {
				older++
			}
		}
	}
	if len(keys) < 10*len(h)/(threads*opsMax) || older < len(keys)/4 {
		t.Errorf("%d keys of %d operations, %d gets of ones that were left, %d of them long ago", len(keys), len(h), back, older)
	}
	if 2*back > gets || puts < len(keys) {
		t.Errorf("%d of %d gets look back: a read repairs what it finds, so few should", back, gets)
	}
}
