package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cartwheel/store"

	"pgregory.net/rapid"
)

func members(n int) []store.Member {
	var out []store.Member
	for i := range n {
		out = append(out, store.Member{ID: store.NodeID(fmt.Sprintf("n%d", i+1)), Address: fmt.Sprintf("10.0.0.%d:7070", i+1)})
	}
	return out
}

func drawLayout(t *rapid.T) (*Layout, Options) {
	o := Options{Members: members(rapid.IntRange(1, 12).Draw(t, "members"))}
	o.Replicas = rapid.IntRange(1, min(5, len(o.Members))).Draw(t, "replicas")
	o.Partitions = 1 << rapid.IntRange(0, 9).Draw(t, "log2 partitions")
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, o
}

func TestPreferenceListsNameEveryNodeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, o := drawLayout(t)
		for p := range Partition(l.Partitions()) {
			list := slices.Clone(l.PreferenceList(p))
			slices.Sort(list)
			if len(slices.Compact(list)) != len(o.Members) {
				t.Fatalf("partition %d: %v does not name each of %d nodes once", p, l.PreferenceList(p), len(o.Members))
			}
			if len(l.Owners(p)) != o.Replicas || !l.Owns(l.Owners(p)[0], p) {
				t.Fatalf("partition %d: owners %v, want %d", p, l.Owners(p), o.Replicas)
			}
		}
	})
}

func TestLoadIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, o := drawLayout(t)
		held, led := map[store.NodeID]int{}, map[store.NodeID]int{}
		for p := range Partition(l.Partitions()) {
			for _, n := range l.Owners(p) {
				held[n]++
			}
			led[l.Owners(p)[0]]++
		}
		for _, m := range o.Members {
			if fair := float64(l.Partitions()*o.Replicas) / float64(len(o.Members)); float64(held[m.ID]) < fair-1 || float64(held[m.ID]) > fair+1 {
				t.Fatalf("%s holds %d replicas, want %.1f +- 1", m.ID, held[m.ID], fair)
			}
			// First places follow from the owners, so they are less exact: within a tenth and two.
			if fair := float64(l.Partitions()) / float64(len(o.Members)); float64(led[m.ID]) > fair*1.1+2 {
				t.Fatalf("%s is first owner of %d partitions, want about %.1f", m.ID, led[m.ID], fair)
			}
		}
	})
}

func TestLayoutDependsOnTheSetOfMembersOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, o := drawLayout(t)
		o.Members = rapid.Permutation(o.Members).Draw(t, "order")
		again, err := New(o)
		if err != nil || again.Digest() != l.Digest() {
			t.Fatalf("another order of members gives another layout: %v", err)
		}
	})
}

func TestKeysSpreadOverAllPartitions(t *testing.T) {
	l, err := New(Options{Members: members(5)})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Partition]int{}
	for i := range 10_000 {
		seen[l.Partition(store.Key(fmt.Sprintf("cart:%d", i)))]++
	}
	if len(seen) != DefaultPartitions {
		t.Errorf("10,000 keys fall into %d partitions, want all %d", len(seen), DefaultPartitions)
	}
	// The ring is a contract between nodes and versions: these must never move.
	for key, want := range map[store.Key]Partition{"": 212, "cart:1": 217, "\x00\xff": 208} {
		if got := l.Partition(key); got != want {
			t.Errorf("partition of %q: got %d, want %d", key, got, want)
		}
	}
}

func TestBadOptionsAreAllReported(t *testing.T) {
	_, err := New(Options{
		Members:    []store.Member{{ID: "n1", Address: "a:1"}, {ID: "n1", Address: "a:1"}, {ID: ""}},
		Partitions: 100, Replicas: 4,
	})
	for _, want := range []string{"power of two", "at least as many members", "unique and not empty", "another member's"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestMembersAreFoundById(t *testing.T) {
	l, err := New(Options{Members: members(4)})
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := l.Member("n3"); !ok || m.Address != "10.0.0.3:7070" {
		t.Errorf("got %v, %v", m, ok)
	}
	if _, ok := l.Member("n9"); ok {
		t.Error("found a node that is no member")
	}
	if got := l.Members(); len(got) != 4 || l.Replicas() != DefaultReplicas {
		t.Errorf("got %v, %d replicas", got, l.Replicas())
	}
}
