package strategy_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cartwheel/store/ring/strategy"

	"pgregory.net/rapid"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// draw returns a placement of any strategy, with no more replicas than nodes.
func draw(t *rapid.T) (p strategy.Placement, replicas int) {
	replicas = rapid.IntRange(1, 3).Draw(t, "replicas")
	nodes := rapid.IntRange(replicas, 8).Draw(t, "nodes")
	perNode, partitions := rapid.IntRange(1, 20).Draw(t, "tokens"), 1<<rapid.IntRange(4, 6).Draw(t, "log partitions")
	rnd := seeded(rapid.Uint64().Draw(t, "seed"))
	switch rapid.IntRange(1, 4).Draw(t, "strategy") {
	case 1:
		return strategy.RandomTokens(rnd, nodes, replicas, perNode), replicas
	case 2:
		return strategy.TokensAndPartitions(rnd, nodes, replicas, perNode, partitions), replicas
	case 3:
		return strategy.EqualTokens(rnd, nodes, replicas, partitions), replicas
	}
	p, err := strategy.OwnerSets(nodes, replicas, partitions)
	if err != nil {
		t.Fatal(err)
	}
	return p, replicas
}

func TestEveryPositionHasItsOwners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, replicas := draw(t)
		for range 20 {
			owners := p.Owners(rapid.Uint64().Draw(t, "position"))
			if len(owners) != replicas || len(slices.Compact(slices.Sorted(slices.Values(owners)))) != replicas {
				t.Fatalf("owners %v, want %d distinct ones", owners, replicas)
			}
		}
		sum := 0.0
		for _, l := range p.Loads() {
			sum += l
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the loads add up to %v", sum)
		}
		if e := strategy.Efficiency(p.Loads()); e <= 0 || e > 1+1e-9 {
			t.Fatalf("efficiency %v", e)
		}
		if s := strategy.Between(p, p); s.Moved != 0 || s.Cut != 0 {
			t.Fatalf("staying moves %+v", s)
		}
	})
}

// Loads are what keys drawn at random find.
func TestLoadsAreThoseOfRandomKeys(t *testing.T) {
	p := strategy.RandomTokens(seeded(1), 5, 3, 4)
	const keys = 200_000
	rnd, counted := seeded(2), make([]float64, 5)
	for range keys {
		for _, n := range p.Owners(rnd.Uint64()) {
			counted[n] += 1.0 / (3 * keys)
		}
	}
	for n, want := range p.Loads() {
		if math.Abs(counted[n]-want) > 0.005 {
			t.Errorf("node %d is asked for %.4f of the keys, want %.4f", n, counted[n], want)
		}
	}
}

// What is known of the strategies by simulation, ours and others': more tokens are evener, and 256 owner sets are as even as a
// thousand tokens a node.
func TestEvennessOfTheStrategies(t *testing.T) {
	mean := func(make func(seed uint64) strategy.Placement) (sum float64) {
		const seeds = 40
		for seed := range uint64(seeds) {
			sum += strategy.Efficiency(make(seed).Loads()) / seeds
		}
		return sum
	}
	for _, c := range []struct {
		name string
		make func(seed uint64) strategy.Placement
		want float64
	}{
		{"30 nodes, 8 tokens", func(s uint64) strategy.Placement { return strategy.RandomTokens(seeded(s), 30, 3, 8) }, 0.69},
		{"30 nodes, 128 tokens", func(s uint64) strategy.Placement { return strategy.RandomTokens(seeded(s), 30, 3, 128) }, 0.90},
		{"5 nodes, 32 tokens", func(s uint64) strategy.Placement { return strategy.RandomTokens(seeded(s), 5, 3, 32) }, 0.90},
		{"30 nodes, 128 tokens, 16384 partitions", func(s uint64) strategy.Placement { return strategy.TokensAndPartitions(seeded(s), 30, 3, 128, 1<<14) }, 0.90},
		{"30 nodes, 256 equal partitions", func(s uint64) strategy.Placement { return strategy.EqualTokens(seeded(s), 30, 3, 256) }, 0.87},
		{"30 nodes, 4096 equal partitions", func(s uint64) strategy.Placement { return strategy.EqualTokens(seeded(s), 30, 3, 4096) }, 0.97},
	} {
		if got := mean(c.make); math.Abs(got-c.want) > 0.025 {
			t.Errorf("%s: efficiency %.3f, want %.2f", c.name, got, c.want)
		}
	}
	p, err := strategy.OwnerSets(30, 3, 256)
	if err != nil {
		t.Fatal(err)
	}
	// 768 replicas on 30 nodes: 26 at most.
	if got, want := strategy.Efficiency(p.Loads()), 25.6/26; math.Abs(got-want) > 1e-9 {
		t.Errorf("owner sets: efficiency %.4f, want %.4f", got, want)
	}
}

// A node that joins needs its share; strategy 1 cuts a range for each of its tokens, and fixed partitions are never cut.
func TestWhatAJoinMoves(t *testing.T) {
	const nodes, replicas, perNode, partitions = 10, 3, 16, 256
	fair := 1.0 / (nodes + 1)
	for seed := range uint64(10) {
		s1 := strategy.Between(strategy.RandomTokens(seeded(seed), nodes, replicas, perNode), strategy.RandomTokens(seeded(seed), nodes+1, replicas, perNode))
		if s1.Cut < perNode || s1.Cut > 2*perNode || s1.Moved < fair/3 {
			t.Errorf("strategy 1, seed %d: %+v", seed, s1)
		}
		before := strategy.EqualTokens(seeded(seed), nodes, replicas, partitions)
		after := strategy.Joined(seeded(seed+100), before, replicas)
		if s3 := strategy.Between(before, after); s3.Cut != 0 || s3.Moved < fair/2 || strategy.Efficiency(after.Loads()) < 0.7 {
			t.Errorf("strategy 3, seed %d: %+v", seed, s3)
		}
	}
	before, after, err := strategy.OwnerSetsJoined(nodes, replicas, partitions)
	if err != nil {
		t.Fatal(err)
	}
	if s := strategy.Between(before, after); s.Cut != 0 || math.Abs(s.Moved-fair) > 0.01 {
		t.Errorf("owner sets: %+v, want no cut and %.3f moved", s, fair)
	}
}

func TestAsManyNodesAsTheyNeedAreRefused(t *testing.T) {
	if _, err := strategy.OwnerSets(2, 3, 256); err == nil {
		t.Error("three replicas on two nodes")
	}
	if _, _, err := strategy.OwnerSetsJoined(3, 3, 100); err == nil {
		t.Error("a hundred partitions")
	}
}
