package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/version"
)

func (w *world) read(o store.ReadOptions) (store.ReadResult, error) {
	return w.c.Get(context.Background(), key, o)
}

// Every get here finds milk on the owner at 0, and bread, which no other write has seen,
// on the owner at 1, unless it says otherwise.
func TestAGet(t *testing.T) {
	for _, c := range []struct {
		name    string
		self    int
		options store.ReadOptions
		prepare func(w *world)
		missed  int // answers that were needed, if it fails
		values  []string
		after   time.Duration // the reply
		replies string
		finally [3]string // what the owners hold in the end
	}{
		{
			name:   "the first two answers are joined, and all owners mended behind the reply",
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond, replies: "0:stale 1:stale",
			finally: [3]string{"0:bread+milk", "1:bread+milk", "2:bread+milk"},
		},
		{
			name: "any node reads", self: 4,
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond, replies: "0:stale 1:stale",
			finally: [3]string{"0:bread+milk", "1:bread+milk", "2:bread+milk"},
		},
		{
			name: "without repair nothing is mended", options: store.ReadOptions{R: 3, Repair: store.RepairNone},
			values: []string{"bread", "milk"}, after: 3 * time.Millisecond, replies: "0:stale 1:stale 2:notfound",
			finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "one answer is enough where one is asked for", options: store.ReadOptions{R: 1, Repair: store.RepairNone}, self: 4,
			values: []string{"milk"}, after: time.Millisecond, replies: "0:ok",
			finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "what a straggler shows is mended too", prepare: func(w *world) { w.at(2).delay = 90 * time.Millisecond; w.give(2, "eggs") },
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond, replies: "0:stale 1:stale",
			finally: [3]string{"0:bread+eggs+milk", "1:bread+eggs+milk", "2:bread+eggs+milk"},
		},
		{
			name: "a straggler that comes too late is left to anti-entropy", prepare: func(w *world) { w.at(2).delay = 200 * time.Millisecond },
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond, replies: "0:stale 1:stale",
			finally: [3]string{"0:bread+milk", "1:bread+milk", ""},
		},
		{
			name: "a failure is not an empty answer", prepare: func(w *world) { w.at(1).err = errBroken },
			values: []string{"milk"}, after: 3 * time.Millisecond, replies: "0:ok 1:failed 2:notfound",
			finally: [3]string{"0:milk", "1:bread", "2:milk"},
		},
		{
			name: "a stand-in shows its hint", prepare: func(w *world) {
				w.believeDown(1)
				w.at(3).records[w.list[1]] = w.at(1).joined()
			},
			values: []string{"bread", "milk"}, options: store.ReadOptions{R: 3}, after: 4 * time.Millisecond,
			replies: "0:stale 1:skipped 2:notfound 3/1:stale", finally: [3]string{"0:bread+milk", "1:bread", "2:bread+milk"},
		},
		{
			name: "a silent owner is stood in for", prepare: func(w *world) {
				w.at(1).silent, w.at(2).silent = true, true
				w.at(3).records[w.list[1]] = w.at(1).joined()
			},
			values: []string{"bread", "milk"}, after: 254 * time.Millisecond,
			replies: "0:stale 3/1:stale", finally: [3]string{"0:bread+milk", "1:bread", ""},
		},
		{
			name: "strict: nobody stands in", options: store.ReadOptions{Mode: store.Strict},
			prepare: func(w *world) { w.at(1).err, w.at(2).err = errBroken, errBroken },
			missed:  2, after: 3 * time.Millisecond, replies: "0:ok 1:failed 2:failed", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "strict: too few are known to be up", options: store.ReadOptions{Mode: store.Strict},
			prepare: func(w *world) { w.believeDown(1, 2) },
			missed:  2, replies: "1:skipped 2:skipped", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "pr: a stand-in's answer is not an owner's", options: store.ReadOptions{R: 2, PR: 2},
			prepare: func(w *world) { w.at(1).err, w.at(2).err = errBroken, errBroken },
			missed:  2, after: 3 * time.Millisecond, replies: "0:ok 1:failed 2:failed", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "pr: too few owners are known to be up", options: store.ReadOptions{R: 1, PR: 2},
			prepare: func(w *world) { w.believeDown(1, 2) },
			missed:  2, replies: "1:skipped 2:skipped", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "node confirms: one answer is R, and two more are waited for", options: store.ReadOptions{R: 1, NodeConfirms: 3},
			values: []string{"bread", "milk"}, after: 3 * time.Millisecond, replies: "0:stale 1:stale 2:notfound",
			finally: [3]string{"0:bread+milk", "1:bread+milk", "2:bread+milk"},
		},
		{
			name: "n: only the first owners are asked", options: store.ReadOptions{N: 1, R: 1},
			values: []string{"milk"}, replies: "0:ok", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "not found counts: a lone holder is missed", options: store.ReadOptions{R: 2, Repair: store.RepairNone},
			prepare: func(w *world) { w.at(1).records, w.at(0).delay = nil, 9*time.Millisecond },
			after:   3 * time.Millisecond, replies: "1:notfound 2:notfound", finally: [3]string{"0:milk", "", ""},
		},
		{
			name: "not found does not count: the lone holder is waited for", options: store.ReadOptions{R: 2, Repair: store.RepairNone, NotFound: store.NotFoundDoesNotCount},
			prepare: func(w *world) { w.at(1).records, w.at(0).delay = nil, 9*time.Millisecond },
			values:  []string{"milk"}, after: 9 * time.Millisecond, replies: "0:ok 1:notfound 2:notfound", finally: [3]string{"0:milk", "", ""},
		},
		{
			name: "basic quorum: a majority that has nothing is enough", options: store.ReadOptions{R: 2, Repair: store.RepairNone, NotFound: store.NotFoundBasicQuorum},
			prepare: func(w *world) { w.at(1).records, w.at(0).delay = nil, 9*time.Millisecond },
			after:   3 * time.Millisecond, replies: "1:notfound 2:notfound", finally: [3]string{"0:milk", "", ""},
		},
		{
			name: "blocking: enough owners hold the result before the reply", options: store.ReadOptions{Repair: store.RepairBlocking},
			values: []string{"bread", "milk"}, after: 4 * time.Millisecond, // the write-back to 1 leaves with the second answer
			replies: "0:repaired 1:repaired 2:notfound", finally: [3]string{"0:bread+milk", "1:bread+milk", "2:bread+milk"},
		},
		{
			name: "blocking: nothing to do where enough hold it", options: store.ReadOptions{Repair: store.RepairBlocking, Mode: store.Strict},
			prepare: func(w *world) { w.at(1).records[w.list[1]] = w.at(0).joined() },
			values:  []string{"milk"}, after: 2 * time.Millisecond, replies: "0:ok 1:ok", finally: [3]string{"0:milk", "1:milk", "2:milk"},
		},
		{
			name: "blocking: a single answer is spread to all", options: store.ReadOptions{R: 1, Repair: store.RepairBlocking},
			values: []string{"milk"}, after: 3 * time.Millisecond, replies: "0:ok 1:repaired 2:repaired",
			finally: [3]string{"0:bread+milk", "1:bread+milk", "2:bread+milk"}, // the bread was a straggler
		},
		{
			name: "blocking: an owner that never answered may be the one that holds it", options: store.ReadOptions{Repair: store.RepairBlocking},
			prepare: func(w *world) { w.at(1).delay = 200 * time.Millisecond }, // 0 and 2 answer: milk and nothing
			values:  []string{"milk"}, after: 6 * time.Millisecond, replies: "0:ok 2:repaired", finally: [3]string{"0:milk", "1:bread+milk", "2:milk"},
		},
		{
			name: "blocking: a stand-in's copy is not an owner's", options: store.ReadOptions{Repair: store.RepairBlocking},
			prepare: func(w *world) { w.believeDown(1, 2) },
			missed:  2, replies: "1:skipped 2:skipped", finally: [3]string{"0:milk", "1:bread", ""},
		},
		{
			name: "blocking: it fails where too few owners can be made to hold it", options: store.ReadOptions{Repair: store.RepairBlocking, R: 2},
			prepare: func(w *world) { w.at(1).silent, w.at(2).silent = true, true },
			missed:  2, after: 1254 * time.Millisecond, replies: "0:ok 1:timeout 2:timeout 3/1:notfound 4/2:notfound", finally: [3]string{"0:milk", "1:bread", ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, c.self, func(t *testing.T, w *world) {
				w.give(0, "milk")
				w.give(1, "bread")
				if c.prepare != nil {
					c.prepare(w)
				}
				res, err := w.read(c.options)
				took, meta := time.Since(w.began), res.Meta
				var missed *store.QuorumError
				if errors.As(err, &missed) {
					meta = missed.Meta
					if missed.Need != c.missed || missed.Op != "get" {
						t.Errorf("got %v, want a get that needed %d", err, c.missed)
					}
				} else if err != nil || c.missed > 0 {
					t.Errorf("got %v, want a missed quorum of %d", err, c.missed)
				}
				if got := values(res.Siblings); !slices.Equal(got, c.values) {
					t.Errorf("got %q, want %q", got, c.values)
				}
				if took != c.after {
					t.Errorf("answered after %v, want %v", took, c.after)
				}
				if got := w.replies(meta); got != c.replies {
					t.Errorf("replies %q, want %q", got, c.replies)
				}
				if err == nil {
					w.checkToken(res)
				}
				time.Sleep(5 * time.Second)
				if got := [3]string{w.holdings(0), w.holdings(1), w.holdings(2)}; got != c.finally {
					t.Errorf("the owners end with %q, want %q", got, c.finally)
				}
				if n := w.c.Stats().InFlight; n != 0 {
					t.Errorf("%d requests in flight after the end", n)
				}
			})
		})
	}
}

// checkToken checks that a context covers each sibling shown and no event that was not joined.
func (w *world) checkToken(res store.ReadResult) {
	w.t.Helper()
	token, err := version.DecodeToken(key, res.Context)
	if err != nil {
		w.t.Error(err)
	}
	if len(token.Vector) != len(res.Siblings) { // here every event is still a sibling
		w.t.Errorf("the context covers %v, and %d siblings were shown", token.Vector, len(res.Siblings))
	}
	if !slices.Contains(w.list[:3], token.Hint) {
		w.t.Errorf("the hint is %q, no owner", token.Hint)
	}
	if res.Meta.Siblings != len(res.Siblings) {
		w.t.Errorf("meta says %d siblings", res.Meta.Siblings)
	}
}

func TestAKeyThatWasNeverWrittenIsAnAnswer(t *testing.T) {
	for _, repair := range []store.RepairMode{store.RepairAsync, store.RepairBlocking} {
		inWorld(t, 0, func(t *testing.T, w *world) {
			res, err := w.read(store.ReadOptions{Repair: repair})
			if err != nil || len(res.Siblings) != 0 || w.replies(res.Meta) != "0:notfound 1:notfound" {
				t.Errorf("got %+v, %v", res, err)
			}
			time.Sleep(time.Second)
			if got := sorted(w.who()); got != sorted("get 1, get 2") {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestOptionsOfAGetAreChecked(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		for _, o := range []store.ReadOptions{{R: 4}, {R: -1}, {Mode: 9}, {Repair: 9}, {PR: 4}, {NodeConfirms: 4}, {N: 4}, {NotFound: 9}} {
			if _, err := w.read(o); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%+v: got %v", o, err)
			}
		}
		if _, err := w.c.Get(context.Background(), "", store.ReadOptions{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("empty key: got %v", err)
		}
	})
}

func TestCloseEndsReads(t *testing.T) {
	inWorld(t, 4, func(t *testing.T, w *world) {
		for i := range 4 {
			w.at(i).silent = true
		}
		failed := make(chan error, 1)
		go func() {
			_, err := w.read(store.ReadOptions{})
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := w.c.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("close took %v: %v", time.Since(began), err)
		}
		if err := <-failed; !errors.Is(err, store.ErrNoQuorum) {
			t.Errorf("the read got %v", err)
		}
	})
}
