package cartwheel

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/store"
)

func TestKnobsReachTheStore(t *testing.T) {
	for _, c := range []struct {
		in   harness.ReadOptions
		want store.ReadOptions
	}{
		{harness.ReadOptions{}, store.ReadOptions{Mode: store.Sloppy}},
		{harness.ReadOptions{R: 2, Strict: true, Repair: "blocking"}, store.ReadOptions{R: 2, Mode: store.Strict, Repair: store.RepairBlocking}},
		{harness.ReadOptions{R: 1, Repair: "none"}, store.ReadOptions{R: 1, Mode: store.Sloppy, Repair: store.RepairNone}},
		{harness.ReadOptions{Repair: "async"}, store.ReadOptions{Mode: store.Sloppy, Repair: store.RepairAsync}},
		{
			harness.ReadOptions{N: 2, R: 1, PR: 1, NodeConfirms: 2, NotFound: "basic-quorum", Floor: "seen"},
			store.ReadOptions{N: 2, R: 1, PR: 1, NodeConfirms: 2, Mode: store.Sloppy, NotFound: store.NotFoundBasicQuorum, Floor: store.Context("seen")},
		},
	} {
		if got, err := readOptions(c.in); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
	if _, err := readOptions(harness.ReadOptions{Repair: "lazy"}); !harness.Definite(err) {
		t.Errorf("an unknown repair mode gave %v, want a definite error", err)
	}
	if _, err := readOptions(harness.ReadOptions{NotFound: "maybe"}); !harness.Definite(err) {
		t.Errorf("an unknown not-found mode gave %v, want a definite error", err)
	}
	in := harness.WriteOptions{N: 3, W: 3, PW: 2, DW: 1, NodeConfirms: 2, Strict: true, Durability: "one"}
	want := store.WriteOptions{N: 3, W: 3, PW: 2, DW: 1, NodeConfirms: 2, Mode: store.Strict, Durability: store.DurabilityOne}
	if got, err := writeOptions(in); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := writeOptions(harness.WriteOptions{Durability: "some"}); !harness.Definite(err) {
		t.Errorf("an unknown durability gave %v, want a definite error", err)
	}
}

func TestReadingKeepsEverythingThatTheStoreSays(t *testing.T) {
	id := store.WriteID{1, 2, 3}
	got := reading(
		[]store.Sibling{{Value: []byte("v"), WriteID: id}, {Tombstone: true}},
		store.Context("token"),
		store.Meta{
			Coordinator: "n2", Forwarded: true, Hinted: 1, Degraded: true, Repairs: 2,
			Replies: []store.Reply{{Node: "n4", For: "n1", State: store.ReplicaRepaired, RTT: time.Millisecond}},
		},
	)
	want := harness.Reading{
		Siblings: []harness.Sibling{{Value: "v", Write: id.String()}, {Tombstone: true}},
		Token:    []byte("token"),
		Meta: &harness.Meta{
			Coordinator: "n2", Forwarded: true, Hinted: 1, Degraded: true, Repairs: 2,
			Replies: []harness.Reply{{Node: "n4", For: "n1", State: "repaired", RTT: time.Millisecond}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if empty := reading(nil, nil, store.Meta{}); !reflect.DeepEqual(empty, harness.Reading{}) {
		t.Errorf("nothing became %+v", empty)
	}
}

func TestDigestsAreEqualForEqualCopiesOnly(t *testing.T) {
	seen := map[string]string{}
	for _, state := range []string{"", "a", "b", "none"} {
		d := digest([]byte(state))
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q have one digest", state, other)
		}
		if seen[d] = state; d != digest([]byte(state)) {
			t.Errorf("%q has two digests", state)
		}
	}
}

func TestRefusedErrorsAreDefiniteAndWrap(t *testing.T) {
	cause := errors.New("cause")
	if err := fmt.Errorf("get: %w", refused{cause}); !harness.Definite(err) || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestCommandNamesTheNodeAndAllMembersInOrder(t *testing.T) {
	got := Command(harness.StoreOptions{})("n2", map[harness.NodeID]string{"n3": "10.0.0.3:7070", "n1": "10.0.0.1:7070", "n2": "10.0.0.2:7070"})
	want := []string{
		"--id", "n2", "--members", "n1=10.0.0.1:7070,n2=10.0.0.2:7070,n3=10.0.0.3:7070",
		"--listen", ":7070", "--admin-listen", ":7071", "--data", "/data",
		"--bucket", "lww:last-write-wins", "--bucket", "owners:r=2,w=2,pr=2,pw=2,repair=blocking", "--tombstone-interval", "0s", "--tombstone-grace", "0s",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestAJoiningNodeIsToldItsSeeds(t *testing.T) {
	got := Join(harness.StoreOptions{NoAntiEntropy: true})("n2.2", "10.0.0.2:7070", []string{"10.0.0.1:7070", "10.0.0.3:7070"})
	want := []string{
		"--id", "n2.2", "--advertise", "10.0.0.2:7070", "--join", "10.0.0.1:7070,10.0.0.3:7070",
		"--listen", ":7070", "--admin-listen", ":7071", "--data", "/data",
		"--bucket", "lww:last-write-wins", "--bucket", "owners:r=2,w=2,pr=2,pw=2,repair=blocking", "--tombstone-interval", "0s", "--tombstone-grace", "0s", "--repair-interval", "0s",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
