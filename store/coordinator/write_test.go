package coordinator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

var (
	errBroken = errors.New("disk on fire")
	errFull   = fmt.Errorf("no room for a hint: %w", store.ErrOverloaded)
)

func TestAPutIsAnsweredAfterWAndReachesAllOwners(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		res, err := w.put("milk", store.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(w.began); took != 2*time.Millisecond {
			t.Errorf("answered after %v, want with the second replica, after 2ms", took)
		}
		if got := w.replies(res.Meta); got != "0:ok 1:ok" || res.Meta.Coordinator != w.self || res.Meta.Siblings != 1 {
			t.Errorf("replies %q in %+v", got, res.Meta)
		}
		token, err := version.DecodeToken(key, res.Context)
		if err != nil || !token.Vector.Equal(w.at(0).joined().Vector) || token.Hint != w.self {
			t.Errorf("context %+v, %v", token, err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if got := sorted(w.who()); got != sorted("put 1, put 2") {
			t.Errorf("asked %q, want the two other owners and nobody else", got)
		}
		if w.holdings(2) != "2:milk" {
			t.Errorf("the third owner holds %q", w.holdings(2))
		}
	})
}

// Every put here is made at an owner; what differs is how the others behave.
func TestAPutUnderFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		self    int
		options store.WriteOptions
		prepare func(w *world)
		outcome store.Outcome
		after   time.Duration // the reply
		asked   string        // the other nodes, once all is over
		parked  string        // held by the coordinator at the end
		replies string
	}{
		{
			name:    "an owner is known to be down: the next fallback keeps a hint, which counts",
			prepare: func(w *world) { w.believeDown(1); w.at(2).silent = true },
			after:   4 * time.Millisecond, asked: "hint 3 for 1, put 2, hint 4 for 2", parked: "0:milk",
			replies: "0:ok 1:skipped 3/1:ok",
		},
		{
			name:    "an owner refuses: the next fallback keeps a hint",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.at(1).err = errBroken },
			after:   6 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1", parked: "0:milk",
			replies: "0:ok 1:failed 2:ok 3/1:ok",
		},
		{
			name:    "an owner is silent for too long: the next fallback keeps a hint",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.at(1).silent = true },
			after:   254 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1", parked: "0:milk",
			replies: "0:ok 2:ok 3/1:ok",
		},
		{
			name:    "an owner answers late, and counts after all",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.at(1).delay = 300 * time.Millisecond; w.at(3).silent = true },
			after:   300 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1", parked: "0:milk",
			replies: "0:ok 1:ok 2:ok",
		},
		{
			name:    "a stand-in fails: the next one is asked",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.believeDown(1); w.at(3).err = errBroken },
			after:   9 * time.Millisecond, asked: "hint 3 for 1, put 2, hint 4 for 1", parked: "0:milk",
			replies: "0:ok 1:skipped 2:ok 3/1:failed 4/1:ok",
		},
		{
			name:    "a stand-in has no room for the hint: it does not count, the next one is asked",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.believeDown(1); w.at(3).err = errFull },
			after:   9 * time.Millisecond, asked: "hint 3 for 1, put 2, hint 4 for 1", parked: "0:milk",
			replies: "0:ok 1:skipped 2:ok 3/1:refused 4/1:ok",
		},
		{
			name:    "no stand-in has room: the quorum is missed, though the coordinator keeps the hint",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.believeDown(1); w.at(3).err, w.at(4).err = errFull, errFull },
			outcome: store.OutcomeUnknown,
			after:   9 * time.Millisecond, asked: "hint 3 for 1, put 2, hint 4 for 1", parked: "0:milk 1:milk",
			replies: "0:ok 1:skipped 2:ok 3/1:refused 4/1:refused",
		},
		{
			name:    "no stand-in is left: the coordinator keeps the hint, which does not count twice",
			options: store.WriteOptions{W: 3},
			prepare: func(w *world) { w.at(1).err = errBroken; w.at(3).err = errBroken; w.at(4).err = errBroken },
			outcome: store.OutcomeUnknown,
			after:   11 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1, hint 4 for 1", parked: "0:milk 1:milk",
			replies: "0:ok 1:failed 2:ok 3/1:failed 4/1:failed",
		},
		{
			name: "the coordinator's disk fails behind its write: who has stored the write keeps the hint",
			prepare: func(w *world) {
				w.at(1).err, w.at(3).err, w.at(4).err = errBroken, errBroken, errBroken
				w.at(2).taken = func() { w.at(0).err = errBroken }
			},
			after: 3 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1, hint 4 for 1, hint 2 for 1", parked: "0:milk",
			replies: "0:ok 1:failed 2:ok",
		},
		{
			name: "nobody answers: unknown, because some may have taken it",
			prepare: func(w *world) {
				w.at(1).silent, w.at(2).silent, w.at(3).silent, w.at(4).silent = true, true, true, true
			},
			outcome: store.OutcomeUnknown,
			after:   1250 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1, hint 4 for 2", parked: "0:milk 1:milk 2:milk",
			replies: "0:ok 0/1:ok 0/2:ok 1:timeout 2:timeout 3/1:timeout 4/2:timeout",
		},
		{
			name:    "too few are known to be up: nothing is written",
			prepare: func(w *world) { w.believeDown(1, 2, 3, 4) },
			outcome: store.OutcomeNotWritten,
			replies: "1:skipped 2:skipped",
		},
		{
			name:    "pw: a stand-in's hint counts toward w and is no owner's",
			options: store.WriteOptions{W: 2, PW: 2},
			prepare: func(w *world) { w.at(1).err, w.at(2).err = errBroken, errBroken },
			outcome: store.OutcomeUnknown,
			after:   3 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1, hint 4 for 2", parked: "0:milk",
			replies: "0:ok 1:failed 2:failed",
		},
		{
			name:    "pw: too few owners are known to be up: nothing is written",
			options: store.WriteOptions{W: 1, PW: 2},
			prepare: func(w *world) { w.believeDown(1, 2) },
			outcome: store.OutcomeNotWritten,
			replies: "1:skipped 2:skipped",
		},
		{
			name:    "dw and node confirms ask for more than w",
			options: store.WriteOptions{W: 1, DW: 2, NodeConfirms: 3},
			prepare: func(w *world) {},
			after:   3 * time.Millisecond, asked: "put 1, put 2", parked: "0:milk",
			replies: "0:ok 1:ok 2:ok",
		},
		{
			name:    "n: the write goes to the first owners only",
			options: store.WriteOptions{N: 2, W: 2},
			prepare: func(w *world) {},
			after:   2 * time.Millisecond, asked: "put 1", parked: "0:milk",
			replies: "0:ok 1:ok",
		},
		{
			name:    "its own timeout ends it: unknown",
			options: store.WriteOptions{W: 3, Timeout: 100 * time.Millisecond},
			prepare: func(w *world) { w.at(1).silent = true },
			outcome: store.OutcomeUnknown,
			after:   100 * time.Millisecond, asked: "put 1, put 2, hint 3 for 1", parked: "0:milk",
			replies: "0:ok 2:ok",
		},
		{
			name:    "strict: a hint at the coordinator does not count",
			options: store.WriteOptions{Mode: store.Strict},
			prepare: func(w *world) { w.at(1).err, w.at(2).err = errBroken, errBroken },
			outcome: store.OutcomeUnknown,
			after:   3 * time.Millisecond, asked: "put 1, put 2", parked: "0:milk 1:milk 2:milk",
			replies: "0:ok 0/1:ok 1:failed 2:failed",
		},
		{
			name:    "strict: an owner that is down is not stood in for",
			options: store.WriteOptions{Mode: store.Strict},
			prepare: func(w *world) { w.believeDown(1) },
			after:   3 * time.Millisecond, asked: "put 2", parked: "0:milk 1:milk",
			replies: "0:ok 0/1:ok 1:skipped 2:ok",
		},
		{
			name:    "strict: too few owners are known to be up, however many others are",
			options: store.WriteOptions{Mode: store.Strict},
			prepare: func(w *world) { w.believeDown(1, 2) },
			outcome: store.OutcomeNotWritten,
			replies: "1:skipped 2:skipped",
		},
		{
			name:    "a fallback coordinates: its own write is the hint",
			self:    3,
			prepare: func(w *world) { w.believeDown(0) },
			after:   2 * time.Millisecond, asked: "put 1, put 2", parked: "0:milk",
			replies: "0:skipped 1:ok 3/0:ok",
		},
		{
			name:    "a fallback coordinates and two owners are down: the other fallback takes the second",
			self:    3,
			prepare: func(w *world) { w.believeDown(0, 1) },
			options: store.WriteOptions{W: 3},
			after:   5 * time.Millisecond, asked: "hint 4 for 1, put 2", parked: "0:milk",
			replies: "0:skipped 1:skipped 2:ok 3/0:ok 4/1:ok",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, c.self, func(t *testing.T, w *world) {
				c.prepare(w)
				res, err := w.put("milk", c.options)
				took := time.Since(w.began)
				var missed *store.QuorumError
				outcome, meta := store.OutcomeOK, res.Meta
				if errors.As(err, &missed) {
					outcome, meta = missed.Outcome(), missed.Meta
				}
				if outcome != c.outcome || (err != nil && missed == nil) || store.Definite(err) != (outcome == store.OutcomeNotWritten && err != nil) {
					t.Errorf("outcome %v, want %v: %v", outcome, c.outcome, err)
				}
				if took != c.after {
					t.Errorf("answered after %v, want %v", took, c.after)
				}
				if got := w.replies(meta); got != c.replies {
					t.Errorf("replies %q, want %q", got, c.replies)
				}
				time.Sleep(5 * time.Second) // the work behind the reply
				if got := sorted(w.who()); got != sorted(c.asked) {
					t.Errorf("asked %q, want %q", got, c.asked)
				}
				if got := w.holdings(c.self); got != c.parked {
					t.Errorf("the coordinator holds %q, want %q", got, c.parked)
				}
				if n := w.c.Stats().InFlight; n != 0 {
					t.Errorf("%d requests are in flight after the end", n)
				}
			})
		})
	}
}

// sorted makes lists of things asked at one instant comparable.
func sorted(asked string) string {
	list := strings.Split(asked, ", ")
	for i := range list {
		for j := range i {
			if list[i] < list[j] {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
	return strings.Join(list, ", ")
}

func TestALocalFailureIsDefiniteUnlessTheEngineFailedInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		definite bool
		is       error
	}{
		{"in the middle of the write", &storage.WriteError{Err: errBroken}, false, errBroken},
		{"a sick disk refuses", storage.ErrStopped, true, storage.ErrStopped},
		{"damaged record", store.ErrCorrupt, true, store.ErrCorrupt},
		{"too many siblings", store.ErrSiblings, true, store.ErrSiblings},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				w.at(0).err = fmt.Errorf("put: %w", c.err)
				_, err := w.put("milk", store.WriteOptions{})
				if err == nil || store.Definite(err) != c.definite || !errors.Is(err, c.is) {
					t.Errorf("got %v, definite %v; want definite %v and %v", err, store.Definite(err), c.definite, c.is)
				}
				if got := w.who(); got != "" {
					t.Errorf("asked %q although nothing was durable here", got)
				}
			})
		})
	}
}

func TestForwarding(t *testing.T) {
	refused := fmt.Errorf("go away: %w", store.ErrOverloaded)
	unsent := fmt.Errorf("no connection: %w", store.ErrDown)
	for _, c := range []struct {
		name     string
		answers  []error // of the nodes in the order in which they are tried
		tried    string
		definite bool
		ok       bool
	}{
		{name: "the first takes it", answers: []error{nil}, tried: "forward 0", ok: true},
		{name: "one that never got it is passed over", answers: []error{unsent, nil}, tried: "forward 0, forward 1", ok: true},
		{name: "one that refused is passed over", answers: []error{refused, refused, nil}, tried: "forward 0, forward 1, forward 2", ok: true},
		{name: "one that has written nothing is passed over", answers: []error{&store.QuorumError{}, nil}, tried: "forward 0, forward 1", ok: true},
		{name: "all refuse", answers: []error{refused, unsent, refused}, tried: "forward 0, forward 1, forward 2", definite: true},
		{name: "an unclear outcome is the end", answers: []error{context.DeadlineExceeded}, tried: "forward 0"},
		{name: "a missed quorum is the end", answers: []error{&store.QuorumError{Sent: 1}}, tried: "forward 0"},
		{name: "what all would refuse is the end", answers: []error{store.ErrSiblings}, tried: "forward 0", definite: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 4, func(t *testing.T, w *world) {
				w.forward = func(store.NodeID) (store.WriteResult, error) {
					err := c.answers[0]
					c.answers = c.answers[1:]
					return store.WriteResult{}, err
				}
				_, err := w.put("milk", store.WriteOptions{})
				if (err == nil) != c.ok || (err != nil && store.Definite(err) != c.definite) {
					t.Errorf("got %v, definite %v", err, store.Definite(err))
				}
				if got := w.who(); got != c.tried {
					t.Errorf("tried %q, want %q", got, c.tried)
				}
				if w.holdings(4) != "" {
					t.Errorf("this node has written %q", w.holdings(4))
				}
			})
		})
	}
}

func TestAForwardedWriteIsNeverForwardedAgain(t *testing.T) {
	ctx := context.Background()
	inWorld(t, 4, func(t *testing.T, w *world) {
		res, err := w.c.Forwarded(ctx, coordinator.Write{Key: key, Value: []byte("milk")})
		if err != nil || !res.Meta.Forwarded || res.Meta.Coordinator != w.self {
			t.Errorf("got %+v, %v", res.Meta, err)
		}
		if w.holdings(4) != "2:milk" { // it sees all owners up, so it stands in for the last
			t.Errorf("holds %q", w.holdings(4))
		}
		_, err = w.c.Forwarded(ctx, coordinator.Write{Key: key, Value: []byte("milk"), Options: store.WriteOptions{Mode: store.Strict}})
		if !errors.Is(err, store.ErrNotOwner) {
			t.Errorf("strict, on a node that is no owner: %v", err)
		}
	})
}

func TestWhatNoNodeWouldTakeIsRefusedAtTheDoor(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		other := version.Token{}.Encode("another key")
		for _, c := range []struct {
			name  string
			write coordinator.Write
			want  error
		}{
			{"no key", coordinator.Write{}, store.ErrInvalid},
			{"long key", coordinator.Write{Key: store.Key(strings.Repeat("k", store.KeySizeBytesMax+1))}, store.ErrInvalid},
			{"large value", coordinator.Write{Key: key, Value: bytes.Repeat([]byte("v"), store.ValueSizeBytesMax+1)}, store.ErrTooLarge},
			{"w above n", coordinator.Write{Key: key, Options: store.WriteOptions{W: 4}}, store.ErrInvalid},
			{"negative w", coordinator.Write{Key: key, Options: store.WriteOptions{W: -1}}, store.ErrInvalid},
			{"unknown mode", coordinator.Write{Key: key, Options: store.WriteOptions{Mode: 9}}, store.ErrInvalid},
			{"delete without context", coordinator.Write{Key: key, Tombstone: true}, store.ErrInvalid},
			{"context of another key", coordinator.Write{Key: key, Context: other}, store.ErrBadContext},
		} {
			if _, err := w.c.Write(context.Background(), c.write); !errors.Is(err, c.want) || !store.Definite(err) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
		if w.holdings(0) != "" || w.who() != "" {
			t.Errorf("something was written: %q, %q", w.holdings(0), w.who())
		}
	})
}

// A caller that has gone away gets its answer at once; the owners get the state all the same.
func TestACallerThatGoesAwayDoesNotStopTheFanOut(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.at(1).delay, w.at(2).delay = 100*time.Millisecond, 100*time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_, err := w.c.Write(ctx, coordinator.Write{Key: key, Value: []byte("milk")})
		if took := time.Since(w.began); took != 10*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || store.Definite(err) {
			t.Errorf("got %v, definite %v", err, store.Definite(err))
		}
		time.Sleep(time.Second)
		if w.holdings(1) != "1:milk" || w.holdings(2) != "2:milk" {
			t.Errorf("owners hold %q and %q", w.holdings(1), w.holdings(2))
		}
	})
}

// Close gives up what is in flight, parks hints for those that were not reached, and
// returns when nothing is left.
func TestCloseParksWhatItCannotDeliver(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		for i := 1; i < 5; i++ {
			w.at(i).silent = true
		}
		failed := make(chan error, 1)
		go func() {
			_, err := w.put("milk", store.WriteOptions{})
			failed <- err
		}()
		synctest.Wait()
		if n := w.c.Stats().InFlight; n != 1 {
			t.Errorf("%d requests in flight, want 1", n)
		}
		began := time.Now()
		if err := w.c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("close took %v", took)
		}
		if err := <-failed; err == nil || store.Definite(err) {
			t.Errorf("the put in flight got %v", err)
		}
		if got := w.holdings(0); got != "0:milk 1:milk 2:milk" {
			t.Errorf("holds %q", got)
		}
		if _, err := w.put("bread", store.WriteOptions{}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a put after close got %v", err)
		}
		if _, err := w.c.Get(context.Background(), key, store.ReadOptions{}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a get after close got %v", err)
		}
	})
}

func TestRequestsAboveTheLimitAreRefused(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.at(1).silent, w.at(2).silent = true, true
		for range 8 {
			go func() { _, _ = w.put("milk", store.WriteOptions{}) }() // they end with the coordinator
		}
		synctest.Wait()
		if _, err := w.put("bread", store.WriteOptions{}); !errors.Is(err, store.ErrOverloaded) || !store.Definite(err) {
			t.Errorf("the ninth got %v", err)
		}
		if got := w.c.Stats(); got.Refused != 1 || got.InFlight != 8 {
			t.Errorf("stats %+v", got)
		}
		time.Sleep(10 * time.Second)
		if _, err := w.put("bread", store.WriteOptions{W: 1}); err != nil {
			t.Errorf("after they have ended: %v", err)
		}
	})
}

// Who must have a write on disk before it acknowledges, and how many are said to.
func TestAcknowledgementsComeFromDiskWhereTheyMust(t *testing.T) {
	for _, c := range []struct {
		name     string
		o        store.WriteOptions
		buffered int  // other nodes that may answer from memory
		local    bool // so may the coordinator
		durable  int
	}{
		{"all", store.WriteOptions{W: 3}, 0, false, 3},
		{"one", store.WriteOptions{W: 3, Durability: store.DurabilityOne}, 2, false, 1},
		{"none", store.WriteOptions{W: 3, Durability: store.DurabilityNone}, 2, true, 0},
		{"none, and one on disk", store.WriteOptions{W: 3, DW: 1, Durability: store.DurabilityNone}, 2, false, 1},
		{"one, and two on disk", store.WriteOptions{W: 1, DW: 2, Durability: store.DurabilityOne}, 0, false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				res, err := w.put("milk", c.o)
				synctest.Wait()
				w.mu.Lock()
				defer w.mu.Unlock()
				if err != nil || w.buffered != c.buffered || w.localBuffered != c.local || res.Meta.Durable != c.durable {
					t.Errorf("%v: %d others may answer from memory, the coordinator %v, %d have it on disk; want %d, %v, %d",
						err, w.buffered, w.localBuffered, res.Meta.Durable, c.buffered, c.local, c.durable)
				}
			})
		})
	}
}
