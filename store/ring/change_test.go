package ring

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cartwheel/store"

	"pgregory.net/rapid"
)

// drawRoles returns the roles of some of the nodes n1 to n10.
func drawRoles(t *rapid.T, atLeast int, label string) []Role {
	all := members(10)
	count := rapid.IntRange(atLeast, len(all)).Draw(t, label)
	roles := Plain(rapid.Permutation(all).Draw(t, label+" who")[:count])
	zones, equal := rapid.IntRange(1, 5).Draw(t, label+" zones"), rapid.Bool().Draw(t, label+" equal")
	for i := range roles {
		roles[i].Zone = string('a' + byte(rapid.IntRange(0, zones-1).Draw(t, "zone")))
		if !equal {
			roles[i].Capacity = rapid.IntRange(1, 8).Draw(t, "capacity")
		}
	}
	return roles
}

// drawChange returns a layout and what some further roles make of it.
func drawChange(t *rapid.T) (from, to *Layout) {
	n := rapid.IntRange(1, 5).Draw(t, "replicas")
	o := Options{Members: members(10)[:rapid.IntRange(n, 10).Draw(t, "members")], Replicas: n, Partitions: 1 << rapid.IntRange(0, 5).Draw(t, "log2 partitions")}
	from, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "changed before") {
		if from, err = from.Change(drawRoles(t, n, "first")); err != nil {
			t.Fatal(err)
		}
	}
	if to, err = from.Change(drawRoles(t, n, "then")); err != nil {
		t.Fatal(err)
	}
	return from, to
}

func TestChangedLayoutsPlaceEachReplicaApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, to := drawChange(t)
		zoneOf, zones := map[store.NodeID]string{}, map[string]bool{}
		for _, r := range to.Roles() {
			zoneOf[r.ID], zones[r.Zone] = r.Zone, true
		}
		for p := range Partition(to.Partitions()) {
			in, nodes := map[string]bool{}, map[store.NodeID]bool{}
			for _, n := range to.Owners(p) {
				in[zoneOf[n]], nodes[n] = true, true
			}
			if len(nodes) != to.Replicas() || len(in) != min(to.Replicas(), len(zones)) {
				t.Fatalf("partition %d: owners %v lie in %d zones of %d", p, to.Owners(p), len(in), len(zones))
			}
			list := slices.Sorted(slices.Values(to.PreferenceList(p)))
			if len(slices.Compact(list)) != len(to.Members()) {
				t.Fatalf("partition %d: %v does not name each member once", p, to.PreferenceList(p))
			}
		}
	})
}

// Without zones a node's share is that of its capacity to within one partition, unless that were
// more partitions than there are; then the others have to make up for it.
func TestSharesFollowCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, _ := drawChange(t)
		roles := drawRoles(t, from.Replicas(), "shares")
		capacities := 0
		for i := range roles {
			roles[i].Zone = ""
			capacities += roles[i].Capacity
		}
		to, err := from.Change(roles)
		if err != nil {
			t.Fatal(err)
		}
		full := slices.ContainsFunc(roles, func(r Role) bool { return to.Replicas()*r.Capacity > capacities })
		sum := 0
		for _, s := range Shares(from, to) {
			sum += s.After
			share := float64(to.Partitions()*to.Replicas()*s.Capacity) / float64(capacities)
			if _, member := to.Member(s.ID); member && !full && (float64(s.After) <= share-1 || float64(s.After) >= share+1) {
				t.Fatalf("%s holds %d partitions, its capacity's share is %.2f", s.ID, s.After, share)
			}
		}
		if sum != to.Partitions()*to.Replicas() {
			t.Fatalf("nodes hold %d replicas of %d partitions", sum, to.Partitions())
		}
	})
}

// Without zones nobody takes over more than it must to come to its new share.
func TestNothingMovesThatCouldStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, _ := drawChange(t)
		roles := drawRoles(t, from.Replicas(), "moves")
		for i := range roles {
			roles[i].Zone = ""
		}
		to, err := from.Change(roles)
		if err != nil {
			t.Fatal(err)
		}
		must, moves := 0, len(Moves(from, to))
		for _, s := range Shares(from, to) {
			must += max(0, s.After-s.Before)
		}
		if moves < must {
			t.Fatalf("%d replicas move, %d must", moves, must)
		}
		if improvable(from, to) {
			t.Fatalf("%d replicas move, and fewer would do for the same shares", moves)
		}
	})
}

// improvable reports whether some nodes could pass replicas round, each giving one and getting one, so
// that fewer move: whether the residual graph of the layout has a cycle of negative cost (Klein 1967). If
// not, no layout with the same shares moves fewer. Zones are not looked at.
func improvable(from, to *Layout) bool {
	type arc struct{ tail, head, cost int }
	var arcs []arc
	nodes := to.Members()
	moved := func(n store.NodeID, p Partition) int {
		if from.Owns(n, p) {
			return 0
		}
		return 1
	}
	for p := range Partition(to.Partitions()) {
		at := len(nodes) + int(p)
		for i, n := range nodes {
			if to.Owns(n.ID, p) {
				arcs = append(arcs, arc{i, at, -moved(n.ID, p)}) // it may give the replica away
			} else {
				arcs = append(arcs, arc{at, i, moved(n.ID, p)}) // or be given it
			}
		}
	}
	distance := make([]int, len(nodes)+to.Partitions())
	for range distance {
		shorter := false
		for _, a := range arcs {
			if d := distance[a.tail] + a.cost; d < distance[a.head] {
				distance[a.head], shorter = d, true
			}
		}
		if !shorter {
			return false
		}
	}
	return true // distances fall for ever
}

func TestTheFirstOwnersAreSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, _ := drawChange(t)
		roles := Plain(members(10)[:rapid.IntRange(from.Replicas(), 10).Draw(t, "members now")])
		to, err := from.Change(roles)
		if err != nil {
			t.Fatal(err)
		}
		led := map[store.NodeID]int{}
		for p := range Partition(to.Partitions()) {
			led[to.Owners(p)[0]]++
		}
		if len(Moves(from, to)) == 0 {
			return // nothing is touched
		}
		fair := float64(to.Partitions()) / float64(len(roles))
		for _, n := range slices.Sorted(maps.Keys(led)) {
			if float64(led[n]) > fair*1.1+2 {
				t.Fatalf("%s is first owner of %d partitions, want about %.1f", n, led[n], fair)
			}
		}
	})
}

func TestAChangeDependsOnNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawChange(t)
		again, err := from.Change(rapid.Permutation(to.Roles()).Draw(t, "order"))
		if err != nil || again.Digest() != to.Digest() {
			t.Fatalf("another order of roles gives another layout: %v", err)
		}
		if still, err := to.Change(to.Roles()); err != nil || still.Digest() != to.Digest() {
			t.Fatalf("the same roles change the layout: %d replicas move, %v", len(Moves(to, still)), err)
		}
		var owners [][]store.NodeID
		for p := range Partition(to.Partitions()) {
			owners = append(owners, to.Owners(p))
		}
		if back, err := Restore(to.Roles(), owners); err != nil || back.Digest() != to.Digest() {
			t.Fatalf("restored layout differs: %v", err)
		}
	})
}

// The figures of a cluster as it is run: five nodes become seven, then four.
func TestGrowAndShrinkFigures(t *testing.T) {
	from, err := New(Options{Members: members(5)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ members, moves int }{{6, 128}, {7, 109}, {4, 328}} {
		to, err := from.Change(Plain(members(c.members)))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(Moves(from, to)); got != c.moves {
			t.Errorf("%d to %d nodes: %d replicas of 768 move, want %d", len(from.Members()), c.members, got, c.moves)
		}
		from = to
	}
}

func TestMovesComeFromAllOldOwners(t *testing.T) {
	from, err := Restore(Plain(members(3)), [][]store.NodeID{{"n1", "n2"}, {"n2", "n3"}})
	if err != nil {
		t.Fatal(err)
	}
	to, err := Restore(Plain(members(3)), [][]store.NodeID{{"n1", "n3"}, {"n2", "n3"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(Moves(from, to)); got != "[{0 n3 [n1 n2]}]" {
		t.Errorf("got moves %s", got)
	}
	var got []string
	for _, s := range Shares(from, to) {
		got = append(got, fmt.Sprintf("%s %d->%d +%d -%d", s.ID, s.Before, s.After, s.Gains, s.Drops))
	}
	if want := "n1 1->1 +0 -0, n2 2->1 +0 -1, n3 1->2 +1 -0"; strings.Join(got, ", ") != want {
		t.Errorf("got shares %q, want %q", strings.Join(got, ", "), want)
	}
}

func TestBadRolesAreRefused(t *testing.T) {
	l, err := New(Options{Members: members(3)})
	if err != nil {
		t.Fatal(err)
	}
	big := Plain(members(3))
	big[0].Capacity = CapacityMax + 1
	for _, c := range []struct {
		name  string
		roles []Role
		want  string
	}{
		{"too few", Plain(members(2)), "at least as many members"},
		{"twice", Plain(append(members(3), members(1)...)), "unique"},
		{"capacity", big, "want 1 to"},
	} {
		if _, err := l.Change(c.roles); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.want)
		}
	}
	for _, owners := range [][][]store.NodeID{nil, {{"n1"}, {"n1"}, {"n1"}}, {{"n1", "n1"}}, {{"n9"}}, {{"n1"}, {"n1", "n2"}}} {
		if _, err := Restore(Plain(members(3)), owners); err == nil {
			t.Errorf("owners %v were taken", owners)
		}
	}
}

func TestSharesAreDividedByLargestRemainders(t *testing.T) {
	for _, c := range []struct {
		name   string
		total  int
		claims []claim
		want   string
	}{
		{"even", 10, []claim{{"a", 1, 0, 10, 0}, {"b", 1, 0, 10, 0}}, "map[a:5 b:5]"},
		{"remainder", 10, []claim{{"a", 1, 0, 10, 0}, {"b", 2, 0, 10, 0}}, "map[a:3 b:7]"},
		{"tie goes to who has more", 5, []claim{{"a", 1, 0, 9, 2}, {"b", 1, 0, 9, 3}}, "map[a:2 b:3]"},
		{"at most", 12, []claim{{"a", 8, 0, 4, 0}, {"b", 1, 0, 4, 0}, {"c", 1, 0, 4, 0}}, "map[a:4 b:4 c:4]"},
		{"at least", 12, []claim{{"a", 10, 4, 8, 0}, {"b", 1, 4, 8, 0}}, "map[a:8 b:4]"},
		{"at least nothing", 4, []claim{{"a", 1, 0, 9, 0}, {"b", 3, 0, 2, 0}}, "map[a:2 b:2]"},
	} {
		if got := fmt.Sprint(apportion(c.total, c.claims)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
