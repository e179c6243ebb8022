package storage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"cartwheel/store"
)

// Random writes, some of them buffered, and a loss of power: what was acknowledged as durable is
// there, and so is everything before it; what was buffered after it may be gone. What is left
// is whole: records can be read and have their leaves.
func TestALossOfPowerTakesOnlyWhatWasBuffered(t *testing.T) {
	var lost, kept int // of buffered writes, over all runs
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk("a")
		r := d.open(t)
		r.opts.FlushAfter = time.Hour // only what the writes themselves flush
		type acked struct {
			key     store.Key
			hintFor store.NodeID
			n       int
		}
		var data, hints []acked // in the order of their acknowledgement
		var safeData, safeHints int
		for n := range rapid.IntRange(1, 12).Draw(t, "writes") {
			key := store.Key(fmt.Sprint("key", n))
			hintFor := rapid.SampledFrom([]store.NodeID{"", "b"}).Draw(t, "hint for")
			buffered, repeated := rapid.Bool().Draw(t, "buffered"), rapid.Bool().Draw(t, "repeated")
			w := Write{Value: fmt.Append(nil, n), WriteID: writeID(n), Buffered: buffered}
			state, err := r.Put(context.Background(), part(key), key, hintFor, w)
			if err != nil {
				t.Fatalf("put: %v", err)
			}
			if repeated { // by a replica that hears of it again, or by a client
				if rapid.Bool().Draw(t, "merged") {
					mustMerge(t, r, key, hintFor, state)
				} else {
					w.Buffered = false
					if _, err := r.Put(context.Background(), part(key), key, hintFor, w); err != nil {
						t.Fatalf("put again: %v", err)
					}
				}
				safeData, safeHints = len(data), len(hints)
			}
			list, safe := &data, &safeData
			if hintFor != "" {
				list, safe = &hints, &safeHints
			}
			if *list = append(*list, acked{key, hintFor, n}); !buffered || repeated {
				*safe = len(*list)
			}
		}
		d.crash(t, r)
		r = d.open(t)
		defer closeReplica(t, r)
		for _, l := range []struct {
			acks []acked
			safe int
		}{{data, safeData}, {hints, safeHints}} {
			for i, a := range l.acks {
				switch has := mustGet(t, r, a.key).HasWrite(writeID(a.n)); {
				case !has && i < l.safe:
					t.Fatalf("%q for %q, write %d of %d with %d safe, is lost", a.key, a.hintFor, i, len(l.acks), l.safe)
				case has && i >= l.safe:
					kept++
				case !has:
					lost++
				}
			}
		}
		if check, err := r.CheckTrees(context.Background()); err != nil || check.Drift() > 0 || check.Damaged > 0 {
			t.Fatalf("after the crash: %+v, %v", check, err)
		}
	})
	if lost == 0 {
		t.Errorf("no buffered write was lost, and %d were not: the power was not lost", kept)
	}
}

func TestWhatIsBufferedIsFlushedSoon(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		kept bool
		do   func(*Replica) error
	}{
		{"before", 90 * time.Millisecond, false, nil},
		{"after", 110 * time.Millisecond, true, nil},
		{"on request", 0, true, func(r *Replica) error { return r.Flush(context.Background()) }},
		{"by the next write that is not", 0, true, func(r *Replica) error {
			_, err := r.Put(context.Background(), 1, "other", "", Write{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk("a")
				r := d.open(t)
				for _, hintFor := range []store.NodeID{"", "b"} {
					if _, err := r.Put(context.Background(), part("k"), "k", hintFor, Write{WriteID: writeID(1), Buffered: true}); err != nil {
						t.Fatal(err)
					}
					if c.name == "by the next write that is not" {
						break // of the same database
					}
				}
				time.Sleep(c.wait)
				synctest.Wait()
				if c.do != nil {
					if err := c.do(r); err != nil {
						t.Fatal(err)
					}
				}
				d.crash(t, r)
				r = d.open(t)
				defer closeReplica(t, r)
				if got := mustGet(t, r, "k").HasWrite(writeID(1)); got != c.kept {
					t.Errorf("the write is there: %v, want %v", got, c.kept)
				}
			})
		})
	}
}

// A clean shutdown flushes, and a failed flush stops writes as any failed write does.
func TestClosingFlushes(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	if _, err := r.Buffer(context.Background(), part("k"), "k", "b", mustPut(t, r, "kkkk", "", 1, nil)); err != nil {
		t.Fatal(err)
	}
	closeReplica(t, r)
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{})
	r = open(t, d)
	if !mustGet(t, r, "k").HasWrite(writeID(1)) {
		t.Error("a buffered hint did not survive a clean shutdown")
	}
}

type noSync struct{ KV }

func (k noSync) Apply(b *Batch, sync bool) error {
	if sync && b.Len() == 1 && string(b.ops[0].key) == string(flushedKey) {
		return errors.New("input/output error")
	}
	return k.KV.Apply(b, sync)
}

func TestAFlushThatFailsStopsWrites(t *testing.T) {
	d := newDisk("a")
	d.wrap = func(kv KV) KV { return noSync{kv} }
	r := d.open(t)
	if _, err := r.Put(context.Background(), part("k"), "k", "", Write{Buffered: true}); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(context.Background()); err == nil || !errors.Is(r.Healthy(), ErrStopped) {
		t.Errorf("got %v, and %v", err, r.Healthy())
	}
	if _, err := r.Put(context.Background(), part("k"), "k", "", Write{Buffered: true}); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err) // what is lost was told of
	}
}
