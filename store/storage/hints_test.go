package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/ring"
)

func TestDropHintKeepsWhatWasMergedMeanwhile(t *testing.T) {
	r := open(t, newDisk("a"))
	mustPut(t, r, "k", "b", 1, nil)
	sent := allHints(t, r, "b")[0]
	mustPut(t, r, "k", "b", 2, nil)
	drop := func(h Hint) bool {
		dropped, err := r.DropHint(context.Background(), h)
		if err != nil {
			t.Fatal(err)
		}
		return dropped
	}
	if drop(sent) {
		t.Error("dropped a hint that had changed")
	}
	now := allHints(t, r, "b")[0]
	if !now.Set.HasWrite(writeID(2)) {
		t.Fatalf("hint: got %v, want write 2", now.Set)
	}
	if !drop(now) || drop(now) {
		t.Error("want the hint dropped once")
	}
	if got := mustGet(t, r, "k"); !got.IsZero() {
		t.Errorf("get after the drop: got %v, want nothing", got)
	}
}

func TestHintsAreCountedByTargetAcrossRestarts(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	mustPut(t, r, "x", "c", 1, nil)
	mustPut(t, r, "x", "b", 2, nil)
	mustPut(t, r, "yy", "b", 3, nil)
	mustPut(t, r, "yy", "b", 4, nil) // the same hint, longer
	before := targets(t, r)
	if len(before) != 2 || before[0].Target != "b" || before[0].Hints != 2 || before[1].Target != "c" || before[1].Hints != 1 {
		t.Fatalf("targets: got %v, want b with 2 and c with 1", before)
	}
	d.crash(t, r)
	r = open(t, d)
	if after := targets(t, r); !slices.Equal(after, before) {
		t.Errorf("after a crash: got %v, want %v", after, before)
	}
	for _, target := range []store.NodeID{"b", "c"} {
		for _, h := range allHints(t, r, target) {
			if _, err := r.DropHint(context.Background(), h); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left := targets(t, r); len(left) != 0 || r.Stats() != (Stats{}) {
		t.Errorf("after all were dropped: got %v and %+v, want nothing", left, r.Stats())
	}
}

func targets(t tb, r *Replica) []HintStat {
	t.Helper()
	stats, err := r.HintTargets(context.Background())
	if err != nil {
		t.Fatalf("hint targets: %v", err)
	}
	return stats
}

// Whatever bytes names and keys hold, pages of any size list each target's hints once, in
// order, and a key's hints are found for that key alone.
func TestHintsOfAnyNamesAreListedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newDisk("a").open(t)
		defer closeReplica(t, r)
		name := rapid.SampledFrom([]string{"a", "a/", "/a", "aa", "\x00", "\x00\x01", "\xff", "\xff\xff", "a\x00a"})
		type place struct {
			p      ring.Partition
			key    store.Key
			target store.NodeID
		}
		want := map[place]bool{}
		for n := range rapid.IntRange(0, 20).Draw(t, "hints") {
			at := place{ring.Partition(rapid.SampledFrom([]int{0, 1, 255, 256, 1023}).Draw(t, "partition")), store.Key(name.Draw(t, "key")), store.NodeID(name.Draw(t, "target"))}
			if _, err := r.Put(context.Background(), at.p, at.key, at.target, Write{WriteID: writeID(n + 1)}); err != nil {
				t.Fatalf("put: %v", err)
			}
			want[at] = true
		}
		got := map[place]bool{}
		for _, stat := range targets(t, r) {
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			var after, last []byte
			for pages := 0; pages == 0 || after != nil; pages++ {
				hints, next, err := r.NextHints(context.Background(), stat.Target, after, limit)
				if err != nil || len(hints) > limit {
					t.Fatalf("next hints: %d with limit %d, %v", len(hints), limit, err)
				}
				for _, h := range hints {
					at := place{h.Partition, h.Key, h.Target}
					if cursor := cursorOf(h.Partition, h.Key); got[at] || h.Target != stat.Target || slices.Compare(last, cursor) >= 0 {
						t.Fatalf("%v listed twice, for another target, or out of order", at)
					}
					got[at], last = true, cursorOf(h.Partition, h.Key)
				}
				after = next
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("listed %v, want %v", got, want)
		}
		for at := range want {
			hints, err := r.Hints(context.Background(), at.p, at.key)
			if err != nil {
				t.Fatalf("hints: %v", err)
			}
			for _, h := range hints {
				if !want[place{at.p, at.key, h.Target}] {
					t.Fatalf("%q has a hint for %q that was never made", at.key, h.Target)
				}
			}
			if !slices.ContainsFunc(hints, func(h Hint) bool { return h.Target == at.target }) {
				t.Fatalf("%q misses its hint for %q", at.key, at.target)
			}
		}
	})
}

// Damage is an error and never "not found", and it does not hold up what is whole.
func TestDamageIsReportedAndContained(t *testing.T) {
	ctx := context.Background()
	d := newDisk("a")
	r := open(t, d)
	mustPut(t, r, "bad", "", 1, nil)
	whole := mustPut(t, r, "good", "", 2, nil)
	mustPut(t, r, "bad", "b", 3, nil)
	mustPut(t, r, "good", "b", 4, nil)
	damage(t, r.data, dataKey(part("bad"), "bad"))
	damage(t, r.hints, hintKey(part("bad"), "bad", "b"))

	p := part("bad")
	_, getErr := r.Get(ctx, p, "bad")
	_, recordErr := r.Record(ctx, p, "bad")
	_, hintsErr := r.Hints(ctx, p, "bad")
	_, putErr := r.Put(ctx, p, "bad", "", Write{})
	_, putHintErr := r.Put(ctx, p, "bad", "c", Write{})
	_, mergeErr := r.Merge(ctx, p, "bad", "", whole)
	_, mergeHintErr := r.Merge(ctx, p, "bad", "b", whole)
	_, dropErr := r.DropHint(ctx, Hint{Partition: p, Key: "bad", Target: "b", Set: whole})
	page, _, nextErr := r.NextHints(ctx, "b", nil, 10)
	for name, err := range map[string]error{
		"get": getErr, "record": recordErr, "hints": hintsErr, "put": putErr, "put of a hint": putHintErr,
		"merge of a hint": mergeHintErr, "drop": dropErr, "next hints": nextErr,
	} {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrCorrupt)
		}
	}
	if _, err := r.Get(ctx, p, "bad"); mergeErr != nil || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("merge: %v, and then get: %v; want the state taken and not shown for all there is", mergeErr, err)
	}
	if len(page) != 1 || page[0].Key != "good" {
		t.Errorf("next hints: got %v, want the whole one", page)
	}
	if got := targets(t, r); len(got) != 1 || got[0].Hints != 1 {
		t.Errorf("targets: got %v, want the damaged hint set aside", got)
	}
	if page, _, err := r.NextHints(ctx, "b", nil, 10); len(page) != 1 || err != nil {
		t.Errorf("next hints, again: got %v, %v, want the whole one and nothing to complain of", page, err)
	}
	if _, err := r.Hints(ctx, p, "bad"); err != nil {
		t.Errorf("hints of the key: %v, want those that are left", err)
	}
	if kept, ok, err := r.hints.Get(asideKey(hintKey(p, "bad", "b"))); len(kept) == 0 || !ok || err != nil {
		t.Errorf("its bytes: got %d, %v, %v, want them kept", len(kept), ok, err)
	}
	if r.Healthy() != nil || r.Stats().Damaged == 0 {
		t.Errorf("healthy: %v, damaged: %d, want nil and some", r.Healthy(), r.Stats().Damaged)
	}
	mustGet(t, r, "good")
}

func damage(t *testing.T, kv KV, key []byte) {
	t.Helper()
	b, ok, err := kv.Get(key)
	if err != nil || !ok {
		t.Fatalf("nothing to damage: %v, %v", ok, err)
	}
	b[len(b)/2] ^= 1
	var batch Batch
	batch.Set(key, b)
	if err := kv.Apply(&batch, true); err != nil {
		t.Fatal(err)
	}
}

// What has no room is refused and nothing of it is kept, for one owner and for all; what makes a hint smaller
// is always taken, and room that becomes free is used.
func TestHintsKeepToTheirLimits(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name    string
		all     uint64
		one     uint64
		another bool // owner whose hint is taken all the same
	}{
		{"for one owner", 1 << 20, 3000, true},
		{"for all owners", 3000, 1 << 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk("a")
			o := Options{FS: d.fs, Dir: "node", Self: "a", Rand: seeded(1), Clock: stopped{}, HintSizeBytesMax: c.all, HintTargetSizeBytesMax: c.one}
			r, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			large := Write{Value: make([]byte, 2000)}
			held, err := r.Put(ctx, part("x"), "x", "b", large)
			if err != nil {
				t.Fatal(err)
			}
			before := r.Stats()
			elsewhere := open(t, newDisk("c"))
			state, err := elsewhere.Put(ctx, part("yy"), "yy", "", large)
			if err != nil {
				t.Fatal(err)
			}
			_, putErr := r.Put(ctx, part("yy"), "yy", "b", large)
			_, mergeErr := r.Merge(ctx, part("yy"), "yy", "b", state)
			for name, err := range map[string]error{"put": putErr, "merge": mergeErr} {
				if !errors.Is(err, store.ErrOverloaded) || !store.Definite(err) {
					t.Errorf("%s: got %v, want %v, definite", name, err, store.ErrOverloaded)
				}
			}
			after := r.Stats()
			if got := mustGet(t, r, "yy"); !got.IsZero() || after.Refused != 2 || after.HintBytes != before.HintBytes || after.Hints != 1 {
				t.Errorf("holds %v, %+v, want nothing of what was refused", got, after)
			}
			if _, err := r.Put(ctx, part("zzz"), "zzz", "d", large); (err == nil) != c.another {
				t.Errorf("for another owner: got %v, taken %v", err, c.another)
			}
			if _, err := r.Put(ctx, part("own"), "own", "", large); err != nil {
				t.Errorf("the node's own record: got %v", err)
			}
			if _, err := r.Put(ctx, part("x"), "x", "b", Write{Past: held.Vector}); err != nil {
				t.Errorf("a put that makes the hint smaller: got %v", err)
			}
			if _, err := r.Put(ctx, part("yy"), "yy", "b", large); err != nil {
				t.Errorf("where there is room again: got %v", err)
			}
			// The account is that of the disk: a restart counts the same.
			want := r.Stats()
			closeReplica(t, r)
			if r, err = Open(o); err != nil {
				t.Fatal(err)
			}
			defer closeReplica(t, r)
			if got := r.Stats(); got.Hints != want.Hints || got.HintBytes != want.HintBytes {
				t.Errorf("after a restart: %+v, want %+v", got, want)
			}
		})
	}
}

// The wrong bit may come with the read: a hint that is whole on disk stays where it is.
func TestAHintThatWasOnlyReadWrongStays(t *testing.T) {
	bad := 0
	d := newDisk("a")
	d.wrap = func(kv KV) KV { return misread{kv, &bad} }
	r := open(t, d)
	mustPut(t, r, "k", "b", 1, nil)
	bad = rereads // the first look, and all but one of those that make sure
	if page, _, err := r.NextHints(t.Context(), "b", nil, 10); len(page) != 0 || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read wrong: got %v, %v, want an error", page, err)
	}
	if page, _, err := r.NextHints(t.Context(), "b", nil, 10); len(page) != 1 || err != nil {
		t.Errorf("read again: got %v, %v, want the hint", page, err)
	}
}

// A misread KV brings the next so many hints with a wrong bit.
type misread struct {
	KV
	bad *int
}

func (m misread) Get(key []byte) ([]byte, bool, error) {
	b, ok, err := m.KV.Get(key)
	if bytes.HasPrefix(key, hintPrefix) && len(b) > 0 && *m.bad > 0 {
		*m.bad--
		b[len(b)/2] ^= 1
	}
	return b, ok, err
}
