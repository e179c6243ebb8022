package cartwheel

import (
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/store/client"
)

// said is what two nodes say of themselves.
type said map[harness.NodeID]client.Status

// at is a node that runs for so long, has compared equal with its peer so long ago, and has looked so often.
func at(uptime, clean time.Duration, looks uint64) client.Status {
	return client.Status{
		Uptime: uptime, Peers: []client.PeerStatus{{Node: "other", Up: true, Compared: true, CleanAge: clean}},
		Counters: map[string]uint64{"tombstones_looks": looks},
	}
}

// Nobody's looks count before nothing is left to be delivered and, after that, each pair has compared equal.
func TestLooksCountOnceAllIsDeliveredAndCompared(t *testing.T) {
	const both, one = "tombstones are still looked for by n1, n2", "tombstones are still looked for by n2"
	with := func(st client.Status, change func(*client.Status)) client.Status {
		change(&st)
		return st
	}
	target := New().On(harness.StoreOptions{TombstoneInterval: time.Second})
	for _, c := range []struct {
		name string
		all  said
		want string
	}{
		{"a hint waits", said{"n1": at(10, 1, 50), "n2": with(at(10, 1, 50), func(st *client.Status) { st.Hints = 1 })}, both},
		{"a request is under way", said{"n1": at(20, 1, 60), "n2": with(at(20, 1, 60), func(st *client.Status) { st.InFlight = 1 })}, both},
		{"a disk takes no writes", said{"n1": at(30, 1, 70), "n2": with(at(30, 1, 70), func(st *client.Status) { st.Fault = "full" })}, both},
		{"a peer is down", said{"n1": at(40, 1, 80), "n2": with(at(40, 1, 80), func(st *client.Status) { st.Peers[0].Up = false })}, both},
		{"all is delivered, and was compared before", said{"n1": at(50, 5, 90), "n2": at(55, 6, 90)}, both},
		{"one has compared since", said{"n1": at(60, 9, 91), "n2": at(65, 10, 91)}, both}, // n2's comparison began as all was delivered
		{"a node has compared nothing", said{"n1": at(70, 9, 92), "n2": with(at(75, 1, 92), func(st *client.Status) { st.Peers[0].Compared = false })}, both},
		{"all have compared: looks count from here", said{"n1": at(80, 9, 100), "n2": at(85, 9, 200)}, both},
		{"one has looked often enough", said{"n1": at(90, 9, 100+looksToTake), "n2": at(95, 9, 200+looksToTake-1)}, one},
		{"both have", said{"n1": at(99, 9, 100+looksToTake), "n2": at(99, 9, 200+looksToTake)}, ""},
		{"once is enough", said{"n1": at(99, 9, 0), "n2": with(at(99, 9, 0), func(st *client.Status) { st.Hints = 1 })}, ""},
	} {
		if got := target.looking(c.all); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if !target.vigil.looked {
		t.Error("the audit does not know that all have looked")
	}
}

func TestNobodyWaitsForLooksWhereNothingIsCollected(t *testing.T) {
	target := New().On(harness.StoreOptions{})
	if got := target.looking(said{"n1": at(10, 1, 0), "n2": at(10, 1, 0)}); got != "" || target.vigil.looked {
		t.Errorf("got %q, looked %t", got, target.vigil.looked)
	}
}
