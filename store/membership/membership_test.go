package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// A fakeDisk keeps bytes in memory.
type fakeDisk struct {
	mu     sync.Mutex
	b      []byte
	writes int
	fail   error
	before func() // called before a write is done
}

func (d *fakeDisk) History(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b, nil
}

func (d *fakeDisk) KeepHistory(_ context.Context, b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	if d.before != nil {
		d.before()
	}
	d.b = b
	d.writes++
	return nil
}

func members(ids ...store.NodeID) (out []store.Member) {
	for _, id := range ids {
		out = append(out, store.Member{ID: id, Address: string(id) + ":1"})
	}
	return out
}

func begin(t *testing.T) history.History {
	t.Helper()
	l, err := ring.New(ring.Options{Members: members("n1", "n2", "n3"), Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	return history.New(l)
}

func open(t *testing.T, d *fakeDisk, first history.History) *Keeper {
	t.Helper()
	k, _, err := Open(t.Context(), d, func() (history.History, error) { return first, nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func commit(ids ...store.NodeID) func(history.History) (history.History, error) {
	return func(h history.History) (history.History, error) {
		return h.Commit("n1", h.Newest().Number+1, ring.Plain(members(ids...)))
	}
}

func TestNobodyHearsOfWhatIsNotOnDisk(t *testing.T) {
	d := &fakeDisk{}
	k := open(t, d, begin(t))
	d.before = func() {
		if b, _ := k.Encoded(); k.Now().Newest().Number != 1 || !slices.Equal(b, d.b) {
			t.Error("the change was told before it was kept")
		}
	}
	if _, err := k.Change(t.Context(), commit("n1", "n2", "n4")); err != nil {
		t.Fatal(err)
	}
	if b, _ := k.Encoded(); !slices.Equal(b, d.b) || k.Now().Newest().Number != 2 {
		t.Error("what is told is not what is on disk")
	}
	d.fail = errors.New("disk full")
	if _, err := k.Change(t.Context(), func(h history.History) (history.History, error) { return h.Acked("n1", h.Newest()), nil }); !errors.Is(err, d.fail) {
		t.Errorf("got %v", err)
	}
	if k.Now().Notes("n1").Acked != 0 {
		t.Error("a note that the disk refused counts")
	}
	if again := open(t, d, begin(t)); again.Now().Newest().Number != 2 {
		t.Error("the disk does not win over the first layout")
	}
	writes := d.writes
	if _, err := k.Merge(t.Context(), begin(t)); err != nil || d.writes != writes {
		t.Errorf("nothing is new and it was written, %v", err)
	}
}

func TestADamagedHistoryIsNotPassedOver(t *testing.T) {
	d := &fakeDisk{b: []byte("no history")}
	if _, _, err := Open(t.Context(), d, func() (history.History, error) { return begin(t), nil }, slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// The driver does each step when the history asks for it, tries again what has failed, and gives up what was overtaken.
func TestTheDriverTakesStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, &fakeDisk{}, begin(t))
		var did []string
		failures := 2
		stuck := false
		d, err := StartDriver(DriverOptions{
			Self: "n1", Keeper: k, Rand: func(...uint64) uint64 { return 0 },
			Sync: func(ctx context.Context, _ history.History, v history.Version) error {
				did = append(did, fmt.Sprint("sync ", v.Number))
				if stuck {
					<-ctx.Done()
					return ctx.Err()
				}
				if failures--; failures >= 0 {
					return errors.New("out of reach")
				}
				return nil
			},
			HandOver: func(_ context.Context, _ history.History, v history.Version) error {
				did = append(did, fmt.Sprint("hand over ", v.Number))
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		others := func(note func(h history.History, n store.NodeID) history.History) {
			t.Helper()
			if _, err := k.Change(t.Context(), func(h history.History) (history.History, error) {
				for _, n := range h.Waits() {
					if n != "n1" {
						h = note(h, n)
					}
				}
				return h, nil
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		_, end := k.Placement().Write()
		if _, err := k.Change(t.Context(), commit("n1", "n2", "n4")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if k.Now().Notes("n1").Acked != 0 {
			t.Error("acked while a write runs that began without the version")
		}
		end()
		others(func(h history.History, n store.NodeID) history.History { return h.Acked(n, h.Newest()) })
		if n := k.Now().Notes("n1"); n.Synced != 2 || d.Stats().Failed != 2 {
			t.Errorf("noted %+v after two failures, %+v", n, d.Stats())
		}
		others(func(h history.History, n store.NodeID) history.History { return h.Synced(n, h.Newest()) })
		others(func(h history.History, n store.NodeID) history.History { return h.SyncAcked(n, h.Newest()) })
		if want := []string{"sync 2", "sync 2", "sync 2", "hand over 2"}; !k.Now().Settled() || !slices.Equal(did, want) {
			t.Errorf("did %q, want %q, settled %v", did, want, k.Now().Settled())
		}
		stuck, did = true, nil
		if _, err := k.Change(t.Context(), commit("n1", "n2", "n5")); err != nil {
			t.Fatal(err)
		}
		others(func(h history.History, n store.NodeID) history.History { return h.Acked(n, h.Newest()) })
		if _, err := k.Change(t.Context(), func(h history.History) (history.History, error) { return h.Abort("n1", 4) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := k.Now().Notes("n1"); n.Acked != 4 || len(did) == 0 || did[0] != "sync 3" {
			t.Errorf("a copy of data holds the abort up: %+v, did %q", n, did)
		}
	})
}

// How long a step waits to be tried again follows from how often one has failed, and not from how often the history
// was looked at: of a result and a change of the history that come at one instant either is noticed first.
func TestAPauseFollowsFromFailuresAlone(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			k := open(t, &fakeDisk{}, begin(t))
			var drawn []uint64
			d, err := StartDriver(DriverOptions{
				Self: "n1", Keeper: k,
				Rand: func(names ...uint64) uint64 {
					drawn = append(drawn, names[len(names)-1])
					return 0
				},
				Sync:     func(context.Context, history.History, history.Version) error { return errors.New("out of reach") },
				HandOver: func(context.Context, history.History, history.Version) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := k.Change(t.Context(), commit("n1", "n2", "n4")); err != nil {
				t.Fatal(err)
			}
			// The last of these begins the copying, which fails at the instant at which there is something new.
			for _, n := range k.Now().Waits() {
				if _, err := k.Change(t.Context(), func(h history.History) (history.History, error) {
					return h.Acked(n, h.Newest()), nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2500 * time.Millisecond)
			synctest.Wait()
			if want := []uint64{1, 2, 3}; !slices.Equal(drawn, want) {
				t.Errorf("drew pauses number %v, want %v", drawn, want)
			}
		})
	}
}

func TestWishesBecomeRoles(t *testing.T) {
	zone := "b"
	k := open(t, &fakeDisk{}, begin(t))
	for _, c := range []struct {
		name   string
		wishes []Wish
		want   string // members, or a part of the error
	}{
		{"join", []Wish{{Kind: Join, Node: "n4", Address: "a:1", Zone: &zone, Capacity: 2}}, "n1 - 1, n2 - 1, n3 - 1, n4 b 2"},
		{"join one who waits", []Wish{{Kind: Join, Node: "n9"}}, "n1 - 1, n2 - 1, n3 - 1, n9 - 1"},
		{"replace", []Wish{{Kind: Set, Node: "n2", Zone: &zone, Capacity: 3}, {Kind: Replace, Node: "n2", Other: "n9"}}, "n1 - 1, n3 - 1, n9 b 3"},
		{"too few", []Wish{{Kind: Leave, Node: "n1"}}, "at least as many members"},
		{"a stranger leaves", []Wish{{Kind: Leave, Node: "n7"}}, "n7 is no member"},
		{"a stranger joins", []Wish{{Kind: Join, Node: "n7"}}, "start it with --join"},
		{"twice", []Wish{{Kind: Join, Node: "n1", Address: "a:1"}}, "a member already"},
		{"by force and else", []Wish{{Kind: ForceRemove, Node: "n1"}, {Kind: Join, Node: "n9"}}, "commit it by itself"},
		{"from the wire", []Wish{{Kind: 255, Node: "n1"}}, "kind 255"},
	} {
		p := NewPlanner("n1", k, func() []store.Member { return members("n9") })
		v, err := p.Stage(c.wishes)
		var got []string
		if err == nil {
			for _, r := range v.To.Roles() {
				z := r.Zone
				if z == "" {
					z = "-"
				}
				got = append(got, fmt.Sprint(r.ID, " ", z, " ", r.Capacity))
			}
		}
		if text := strings.Join(got, ", "); text != c.want && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %s, %v, want %s", c.name, text, err, c.want)
		}
	}
}

func TestAPlanIsCommittedOnceAndForOneVersion(t *testing.T) {
	k := open(t, &fakeDisk{}, begin(t))
	p := NewPlanner("n1", k, func() []store.Member { return nil })
	if _, err := p.Commit(t.Context(), 2); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("nothing is planned: %v", err)
	}
	if _, err := p.Stage([]Wish{{Kind: Join, Node: "n4", Address: "a:1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(t.Context(), 3); !errors.Is(err, history.ErrVersion) || !strings.Contains(err.Error(), "'plan'") {
		t.Errorf("for another version: %v", err)
	}
	v, err := p.Commit(t.Context(), 2)
	if err != nil || v.Number != 2 {
		t.Fatalf("%v, %v", v, err)
	}
	if _, err := p.Commit(t.Context(), 3); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("again: %v", err)
	}
	if n, err := p.Abort(t.Context(), 3); n != 3 || err != nil || k.Now().Newest().Kind != history.Abort {
		t.Errorf("abort: %d, %v", n, err)
	}
}

// A plan that competes with a sweep stands, and voids the notes of the sweep. A node that had noted the sweep, and knows, is none that has forgotten, whatever
// those say who do not know yet; what was noted of a sweep behind the plan that stands is another matter.
func TestASweepThatHasGivenWayFencesNobody(t *testing.T) {
	first := begin(t)
	sweep, err := first.Sweep("n2", 2)
	if err != nil {
		t.Fatal(err)
	}
	sweep = sweep.Acked("n1", sweep.Newest())
	plans := map[string]history.History{}
	for zone := range 8 {
		roles := slices.Clone(first.Newest().Layout.Roles())
		roles[0].Zone = fmt.Sprint("z", zone)
		if plans[roles[0].Zone], err = first.Commit("n3", 2, roles); err != nil {
			t.Fatal(err)
		}
	}
	guarded := func(h history.History) *Keeper {
		k := open(t, &fakeDisk{}, h)
		k.Watch(Guard{Self: "n1", Holds: func() bool { return true }, Fence: func(error) {}})
		return k
	}
	for _, known := range plans {
		both, err := history.Merge(sweep, known)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guarded(both).Merge(t.Context(), sweep); err != nil {
			t.Errorf("a plan stands: %v", err)
		}
	}
	behind := plans["z0"]
	for range 3 {
		for _, n := range behind.Waits() {
			s := behind.Next(n)
			behind = behind.Acked(n, s.Ack).Synced(n, s.Sync).SyncAcked(n, s.SyncAck)
		}
	}
	if behind, err = behind.Sweep("n2", 3); err != nil {
		t.Fatal(err)
	}
	for zone, known := range plans { // all but one of which gave way to z0
		if _, err := guarded(known).Merge(t.Context(), behind.Acked("n1", behind.Newest())); !errors.Is(err, history.ErrOutdated) {
			t.Errorf("a disk that knows of the plan %s, behind which a sweep was noted, is let in: %v", zone, err)
		}
	}
}

// A node that comes back with a disk of the past learns nothing that would have others listen to it again, unless there is nothing
// on that disk.
func TestADiskOfThePastIsFenced(t *testing.T) {
	past := begin(t)
	swept, err := past.Sweep("n2", 2)
	if err != nil {
		t.Fatal(err)
	}
	noted := swept.Acked("n1", swept.Newest()) // by this node, on the disk that it had
	for range 3 {
		for _, n := range swept.Waits() {
			s := swept.Next(n)
			swept = swept.Acked(n, s.Ack).Synced(n, s.Sync).SyncAcked(n, s.SyncAck)
		}
	}
	for _, tt := range []struct {
		name   string
		other  history.History
		holds  bool
		fenced bool
	}{
		{"a sweep that has settled", swept, true, true},
		{"a sweep that it has noted, and that is pending", noted, true, true},
		{"an empty disk", swept, false, false},
		{"nothing new", past, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := open(t, &fakeDisk{}, past)
			var fence error
			k.Watch(Guard{Self: "n1", Holds: func() bool { return tt.holds }, Fence: func(err error) { fence = err }})
			_, err := k.Merge(t.Context(), tt.other)
			if got := errors.Is(err, history.ErrOutdated); got != tt.fenced || (fence != nil) != tt.fenced {
				t.Errorf("got %v, fence %v, want fenced %t", err, fence, tt.fenced)
			}
			if tt.fenced && k.Now().Newest().Number != 1 {
				t.Error("it has learned of the others nevertheless")
			}
		})
	}
}
