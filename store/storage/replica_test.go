package storage

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cartwheel/store"
	"cartwheel/store/version"
)

func TestGetJoinsTheRecordWithEveryHint(t *testing.T) {
	r := open(t, newDisk("a"))
	mustPut(t, r, "k", "", 1, nil)
	mustPut(t, r, "k", "b", 2, nil)
	mustPut(t, r, "k", "c", 3, nil)
	if got := mustGet(t, r, "k"); !got.HasWrite(writeID(1)) || !got.HasWrite(writeID(2)) || !got.HasWrite(writeID(3)) {
		t.Errorf("get: got %v, want the record and both hints", got)
	}
	if got := mustRecord(t, r, "k"); len(got.Versions) != 1 || !got.HasWrite(writeID(1)) {
		t.Errorf("record: got %v, want write 1 alone", got)
	}
	hints, err := r.Hints(context.Background(), part("k"), "k")
	if err != nil || len(hints) != 2 || hints[0].Target != "b" || hints[1].Target != "c" || !hints[1].Set.HasWrite(writeID(3)) {
		t.Errorf("hints: got %v, %v, want those for b and c", hints, err)
	}
}

func TestPutSupersedesAcrossTheRecordsOfAKey(t *testing.T) {
	r := open(t, newDisk("a"))
	seen := mustPut(t, r, "k", "", 1, nil)
	after := mustPut(t, r, "k", "b", 2, seen.Vector)
	if len(after.Versions) != 1 || !after.HasWrite(writeID(2)) {
		t.Errorf("put: got %v, want write 2 alone", after)
	}
	if got := mustGet(t, r, "k"); !got.Equal(after) {
		t.Errorf("get: got %v, want what put returned, %v", got, after)
	}
}

func TestARetriedPutIsNotMadeAgain(t *testing.T) {
	r := open(t, newDisk("a"))
	first := mustPut(t, r, "k", "", 1, nil)
	for _, hintFor := range []store.NodeID{"", "b"} {
		if again := mustPut(t, r, "k", hintFor, 1, nil); !again.Equal(first) {
			t.Errorf("retry with hint for %q: got %v, want %v", hintFor, again, first)
		}
	}
}

func TestPutsThatSupersedeNothingAreRefusedAtTheLimit(t *testing.T) {
	r := open(t, newDisk("a"))
	var s version.Set
	for n := range store.SiblingsMax {
		s = mustPut(t, r, "k", "", n+1, nil)
	}
	blind := Write{Value: []byte("v"), WriteID: writeID(1000)}
	if _, err := r.Put(context.Background(), part("k"), "k", "", blind); !errors.Is(err, store.ErrSiblings) {
		t.Errorf("blind put: got %v, want %v", err, store.ErrSiblings)
	}
	if _, err := r.Put(context.Background(), part("k"), "k", "b", blind); !errors.Is(err, store.ErrSiblings) {
		t.Errorf("blind put in a hint: got %v, want %v", err, store.ErrSiblings)
	}
	if got := mustGet(t, r, "k"); !got.Equal(s) {
		t.Errorf("a refused put changed the key")
	}
	one := version.Vector{}.With(s.Versions[0].Dot)
	if got := mustPut(t, r, "k", "", 1000, one); len(got.Versions) != store.SiblingsMax {
		t.Errorf("put that supersedes one: got %d versions, want %d", len(got.Versions), store.SiblingsMax)
	}
}

func TestMergeReportsWhetherItChanged(t *testing.T) {
	a, b := open(t, newDisk("a")), open(t, newDisk("b"))
	s := mustPut(t, a, "k", "", 1, nil)
	for _, want := range []bool{true, false} {
		if got := mustMerge(t, b, "k", "", s); got != want {
			t.Errorf("merge: changed %v, want %v", got, want)
		}
	}
	if mustMerge(t, b, "k", "", version.Set{}) {
		t.Error("merging a key never heard of changed something")
	}
}

// A write that the engine shows before it is on disk is not shown to readers: a loss of power would
// take back what they saw.
func TestReadsDoNotOvertakeTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk("a")
		late := &lateSync{hold: make(chan struct{})}
		d.wrap = func(kv KV) KV {
			if late.KV == nil {
				late.KV = kv
				return late
			}
			return kv
		}
		r := d.open(t)
		defer closeReplica(t, r)
		late.on = true
		read := make(chan version.Set, 1)
		var wg sync.WaitGroup
		wg.Go(func() { mustPut(t, r, "k", "", 1, nil) })
		synctest.Wait() // the put is in the engine, and not on disk yet
		wg.Go(func() { read <- mustGet(t, r, "k") })
		wg.Go(func() { mustGet(t, r, "other") }) // another key does not wait
		synctest.Wait()
		select {
		case s := <-read:
			t.Errorf("a get returned %v before the put was on disk", s)
			read <- s
		default:
		}
		close(late.hold)
		wg.Wait()
		if s := <-read; !s.HasWrite(writeID(1)) {
			t.Errorf("get after put: got %v, want write 1", s)
		}
	})
}

// lateSync makes a write visible at once and returns later, as an engine does while it waits
// for the disk.
type lateSync struct {
	KV
	on   bool
	hold chan struct{}
}

func (l *lateSync) Apply(b *Batch, sync bool) error {
	err := l.KV.Apply(b, sync)
	if l.on {
		<-l.hold
	}
	return err
}

func TestAWaitForAKeyEndsWithTheContext(t *testing.T) {
	r := open(t, newDisk("a"))
	leave, err := r.enter(context.Background(), part("k"), "k", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Get(ctx, part("k"), "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("get of a locked key: got %v, want %v", err, context.Canceled)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var locks lockTable
		unlock, err := locks.lock(ctx, "k")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := locks.lock(ctx, "k"); !errors.Is(err, context.Canceled) {
				t.Errorf("lock: got %v, want %v", err, context.Canceled)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		unlock()
		if len(locks.locks) > 0 {
			t.Errorf("%d locks left behind", len(locks.locks))
		}
	})
	leave()
	mustPut(t, r, "k", "", 1, nil)
}

func TestTheFirstWriteErrorIsFinal(t *testing.T) {
	boom := errors.New("boom")
	d := newDisk("a")
	failing := &failOnce{err: boom}
	d.wrap = func(kv KV) KV {
		if failing.KV == nil {
			failing.KV = kv
			return failing
		}
		return kv
	}
	r := d.open(t)
	before := mustPut(t, r, "k", "", 1, nil)
	failing.armed = true
	put := func(hintFor store.NodeID) error {
		_, err := r.Put(context.Background(), part("k"), "k", hintFor, Write{Value: []byte("v")})
		return err
	}
	var werr *WriteError
	if err := put(""); !errors.As(err, &werr) || !errors.Is(err, boom) {
		t.Errorf("put that fails: got %v, want a WriteError of %v", err, boom)
	}
	for _, hintFor := range []store.NodeID{"", "b"} { // the other database refuses too
		if err := put(hintFor); !errors.Is(err, ErrStopped) || !errors.Is(err, boom) || errors.As(err, &werr) {
			t.Errorf("put after it: got %v, want %v with its reason, and surely not written", err, ErrStopped)
		}
	}
	if _, err := r.Merge(context.Background(), part("k"), "k", "", before); !errors.Is(err, ErrStopped) {
		t.Errorf("merge after it: got %v, want %v", err, ErrStopped)
	}
	if err := r.Healthy(); !errors.Is(err, boom) {
		t.Errorf("healthy: got %v, want %v", err, boom)
	}
	if got := mustGet(t, r, "k"); !got.Equal(before) {
		t.Errorf("get after it: got %v, want %v", got, before)
	}
	id := r.Identity()
	closeReplica(t, r)
	d.wrap = nil
	if again := open(t, d).Identity(); again.Incarnation != id.Incarnation+1 {
		t.Errorf("incarnation after a write error: got %d, want %d", again.Incarnation, id.Incarnation+1)
	}
}

// failOnce fails one write, which is made all the same.
type failOnce struct {
	KV
	armed bool
	err   error
}

func (f *failOnce) Apply(b *Batch, sync bool) error {
	if f.armed {
		f.armed = false
		return f.err
	}
	return f.KV.Apply(b, sync)
}

// The engine reports a failed sync of its log to the logger alone and then returns as if
// nothing had been; the put must not be acknowledged.
func TestAFailedSyncIsAnError(t *testing.T) {
	d := newDisk("a")
	toggle := &errorfs.Toggle{Injector: errorfs.ErrInjected.If(errorfs.Writes)}
	r, err := Open(Options{FS: errorfs.Wrap(d.fs, toggle), Dir: "node", Rand: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, r, "k", "", 1, nil)
	toggle.On()
	_, err = r.Put(context.Background(), part("k"), "k", "", Write{Value: []byte("v")})
	var werr *WriteError
	if !errors.As(err, &werr) {
		t.Errorf("put: got %v, want a WriteError", err)
	}
	toggle.Off()
	_, err = r.Put(context.Background(), part("k"), "k", "", Write{Value: []byte("v")})
	if !errors.Is(err, ErrStopped) {
		t.Errorf("put after it: got %v, want %v", err, ErrStopped)
	}
	_ = r.Close() // an engine that failed may complain
}

func TestCloseWaitsAndIsIdempotent(t *testing.T) {
	r := newDisk("a").open(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			_, err := r.Put(context.Background(), part("k"), "k", "", Write{Value: []byte{byte(n)}})
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("put beside close: %v", err)
			}
		})
		wg.Go(func() {
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	ctx := context.Background()
	_, getErr := r.Get(ctx, 0, "k")
	_, _, leavesErr := r.TreeLeaves(ctx, 0, 0, "", 1)
	_, checkErr := r.CheckTrees(ctx)
	_, _, hintsErr := r.NextHints(ctx, "b", nil, 1)
	_, dropErr := r.DropHint(ctx, Hint{Key: "k", Target: "b"})
	for _, err := range []error{getErr, leavesErr, checkErr, hintsErr, dropErr} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("after close: got %v, want %v", err, store.ErrClosed)
		}
	}
}

func TestOptionsAreCheckedTogether(t *testing.T) {
	_, err := Open(Options{})
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("got %v, want %v", err, store.ErrInvalid)
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 2 {
		t.Errorf("got %q, want both problems", err)
	}
}

func TestNamesThatDoNotFitAreRefused(t *testing.T) {
	r := open(t, newDisk("a"))
	for name, get := range map[string]func() error{
		"empty key": func() error { _, err := r.Get(context.Background(), 0, ""); return err },
		"long key": func() error {
			_, err := r.Get(context.Background(), 0, store.Key(make([]byte, 1<<16)))
			return err
		},
		"partition": func() error { _, err := r.Get(context.Background(), 1024, "k"); return err },
	} {
		if err := get(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrInvalid)
		}
	}
}
