package grudge

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/harness"
)

func cluster(n int) []harness.NodeID {
	nodes := make([]harness.NodeID, n)
	for i := range nodes {
		nodes[i] = harness.NodeID(fmt.Sprintf("n%02d", i+1))
	}
	return nodes
}

// hears returns whom each node hears, itself included, sorted.
func hears(nodes []harness.NodeID, c Cut) map[harness.NodeID][]harness.NodeID {
	view := make(map[harness.NodeID][]harness.NodeID)
	for _, to := range nodes {
		for _, from := range nodes {
			if !slices.Contains(c.Links, harness.Link{From: from, To: to}) {
				view[to] = append(view[to], from)
			}
		}
	}
	return view
}

func symmetric(c Cut) bool {
	return !slices.ContainsFunc(c.Links, func(l harness.Link) bool {
		return !slices.Contains(c.Links, harness.Link{From: l.To, To: l.From})
	})
}

var shapes = map[string]struct {
	least int // nodes
	draw  func(*rand.Rand, []harness.NodeID) Cut
	holds func(nodes []harness.NodeID, c Cut) error
}{
	"halves": {2, Halves, func(nodes []harness.NodeID, c Cut) error {
		return twoSides(nodes, c, len(nodes)/2, len(nodes)/2)
	}},
	"isolate": {2, Isolate, func(nodes []harness.NodeID, c Cut) error { return twoSides(nodes, c, 1, 1) }},
	"minority": {3, MinorityMajority, func(nodes []harness.NodeID, c Cut) error {
		return twoSides(nodes, c, 1, (len(nodes)-1)/2)
	}},
	"one way": {2, OneWay, func(nodes []harness.NodeID, c Cut) error {
		n, half := len(c.Side), len(nodes)/2
		if n < 1 || n >= len(nodes) || min(n, len(nodes)-n) > half {
			return fmt.Errorf("side of %d", n)
		}
		if want := n * (len(nodes) - n); len(c.Links) != want {
			return fmt.Errorf("%d links, want %d", len(c.Links), want)
		}
		for _, l := range c.Links {
			if !slices.Contains(c.Side, l.From) || slices.Contains(c.Side, l.To) {
				return fmt.Errorf("%v does not lead out of %v", l, c.Side)
			}
		}
		return nil
	}},
	"deaf": {3, Deaf, func(nodes []harness.NodeID, c Cut) error {
		if len(c.Side) != (len(nodes)-1)/2 {
			return fmt.Errorf("side %v of %d nodes", c.Side, len(nodes))
		}
		for n, view := range hears(nodes, c) {
			want := nodes
			if slices.Contains(c.Side, n) {
				want = c.Side
			}
			if !slices.Equal(view, want) {
				return fmt.Errorf("side %v: %s hears %v", c.Side, n, view)
			}
		}
		return nil
	}},
	"minority third": {4, MinorityThird, func(nodes []harness.NodeID, c Cut) error {
		if len(c.Links) != 2*len(c.Side)*(len(nodes)-len(c.Side)) || len(c.Side) == 0 || 3*len(c.Side) >= len(nodes) {
			return fmt.Errorf("side %v, %d links", c.Side, len(c.Links))
		}
		return twoSides(nodes, c, 1, (len(nodes)-1)/3)
	}},
	"bridge": {3, Bridge, func(nodes []harness.NodeID, c Cut) error {
		if !symmetric(c) || len(c.Side) != 1 {
			return fmt.Errorf("symmetric %t, bridge %v", symmetric(c), c.Side)
		}
		small, large := (len(nodes)-1)/2, len(nodes)/2
		for n, view := range hears(nodes, c) {
			switch {
			case n == c.Side[0] && len(view) != len(nodes):
				return fmt.Errorf("the bridge hears %v", view)
			case n != c.Side[0] && len(view) != small+1 && len(view) != large+1:
				return fmt.Errorf("%s hears %v", n, view)
			}
		}
		return nil
	}},
	"flapping": {2, Flapping, func(nodes []harness.NodeID, c Cut) error {
		if !symmetric(c) || len(c.Links) != 2 || len(c.Side) != 2 {
			return fmt.Errorf("links %v of %v", c.Links, c.Side)
		}
		return nil
	}},
	"majorities ring": {3, MajoritiesRing, func(nodes []harness.NodeID, c Cut) error {
		if !symmetric(c) || len(c.Links) == 0 {
			return fmt.Errorf("symmetric %t, %d links", symmetric(c), len(c.Links))
		}
		seen := make(map[string]harness.NodeID)
		for n, view := range hears(nodes, c) {
			key := fmt.Sprint(view)
			if other, ok := seen[key]; ok {
				return fmt.Errorf("%s and %s hear the same: %v", n, other, view)
			}
			seen[key] = n
			if majority := len(nodes)/2 + 1; len(view) < majority {
				return fmt.Errorf("%s hears only %v", n, view)
			}
		}
		return nil
	}},
}

// twoSides checks that the named side and the rest hear all of their own and nothing else.
func twoSides(nodes []harness.NodeID, c Cut, least, most int) error {
	if len(c.Side) < least || len(c.Side) > most {
		return fmt.Errorf("side %v, want %d to %d nodes", c.Side, least, most)
	}
	for n, view := range hears(nodes, c) {
		for _, m := range nodes {
			same := slices.Contains(c.Side, n) == slices.Contains(c.Side, m)
			if slices.Contains(view, m) != same {
				return fmt.Errorf("side %v: %s hears %v", c.Side, n, view)
			}
		}
	}
	return nil
}

func TestShapesKeepTheirPromises(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				nodes := cluster(rapid.IntRange(shape.least, 24).Draw(t, "nodes"))
				seed := rapid.Uint64().Draw(t, "seed")
				before := slices.Clone(nodes)
				c := shape.draw(rand.New(rand.NewPCG(seed, 0)), nodes)
				if !reflect.DeepEqual(nodes, before) {
					t.Fatal("the caller's nodes were reordered")
				}
				if err := shape.holds(nodes, c); err != nil {
					t.Fatalf("%d nodes: %v\nlinks %v", len(nodes), err, c.Links)
				}
				if !slices.IsSorted(c.Side) || !reflect.DeepEqual(c.Links, slices.Compact(sorted(slices.Clone(c.Links)))) {
					t.Fatalf("not sorted: %v %v", c.Side, c.Links)
				}
				if again := shape.draw(rand.New(rand.NewPCG(seed, 0)), nodes); !reflect.DeepEqual(c, again) {
					t.Fatalf("the same seed gives %v and %v", c, again)
				}
			})
		})
	}
}

func TestMajoritiesRingOfFiveIsTight(t *testing.T) {
	nodes := cluster(5)
	for n, view := range hears(nodes, MajoritiesRing(rand.New(rand.NewPCG(1, 1)), nodes)) {
		if len(view) != 3 {
			t.Errorf("%s hears %v, want exactly a majority of 3", n, view)
		}
	}
}

func TestOneWayGoesBothWaysOverTime(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	sizes := make(map[int]bool)
	for range 200 {
		sizes[len(OneWay(r, cluster(5)).Side)] = true
	}
	if !reflect.DeepEqual(sizes, map[int]bool{1: true, 2: true, 3: true, 4: true}) {
		t.Fatalf("mute sides have sizes %v, want 1 to 4", sizes)
	}
}

func TestAllListsEveryLinkOnce(t *testing.T) {
	if got := len(slices.Compact(All(cluster(5)))); got != 20 {
		t.Fatalf("%d links, want 20", got)
	}
}

func TestGroupsPartNodesOfDifferentGroupsOnly(t *testing.T) {
	nodes := cluster(5)
	view := hears(nodes, Cut{Links: Groups([][]harness.NodeID{nodes[:2], nodes[2:3], nodes[3:4]})})
	want := map[harness.NodeID][]harness.NodeID{
		"n01": {"n01", "n02", "n05"}, "n02": {"n01", "n02", "n05"}, "n03": {"n03", "n05"}, "n04": {"n04", "n05"}, "n05": nodes,
	}
	if !reflect.DeepEqual(view, want) {
		t.Errorf("got %v, want %v", view, want)
	}
	off := Cut{Links: Off(nodes, nodes[:2]), Side: nodes[:2]}
	if err := twoSides(nodes, off, 2, 2); err != nil {
		t.Error(err)
	}
}
