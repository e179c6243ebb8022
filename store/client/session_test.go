package client

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

func seen(key store.Key, counters ...uint64) []byte {
	var v version.Vector
	for node, n := range counters {
		if n > 0 {
			v = v.With(version.Dot{Actor: version.Actor{Node: uint64(node + 1), Epoch: 1}, Counter: n})
		}
	}
	return version.Token{Vector: v}.Encode(key)
}

func vectorOf(t *testing.T, key store.Key, c []byte) string {
	t.Helper()
	token, err := version.DecodeToken(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return token.Vector.String()
}

// A session sends what it has seen with everything it asks, per key, and never less than
// before, whatever order answers come in.
func TestASessionAsksForNoLessThanItHasSeen(t *testing.T) {
	var asked []string
	var next []byte
	a := &conn{f: func(_ context.Context, args, reply any) error {
		switch r := args.(type) {
		case *storepb.GetRequest:
			asked = append(asked, "get "+vectorOf(t, store.Key(r.GetKey()), r.GetOptions().GetFloor()))
			if r.GetOptions().GetTimeoutNanos() == 0 {
				t.Error("a session's read has no time of its own: its client would give up first")
			}
			reply.(*storepb.GetReply).Context = next
		case *storepb.PutRequest:
			asked = append(asked, "put "+vectorOf(t, store.Key(r.GetKey()), r.GetContext()))
			reply.(*storepb.PutReply).Context = next
		case *storepb.DeleteRequest:
			asked = append(asked, "delete "+vectorOf(t, store.Key(r.GetKey()), r.GetContext()))
			reply.(*storepb.PutReply).Context = next
		}
		return nil
	}}
	s, ctx := New(a, Options{}).Session(), context.Background()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func(key store.Key, o store.ReadOptions) error { _, err := s.Get(ctx, key, o); return err }
	put := func(key store.Key) error { _, err := s.Put(ctx, key, nil, store.WriteOptions{}); return err }
	next = seen("k", 1)
	do(put("k"))
	next = seen("k", 1, 2)
	do(get("k", store.ReadOptions{}))
	next = seen("k", 3) // an answer that began before the last one ended shows less of another node
	do(put("k"))
	next = seen("k", 3, 2, 1)
	do(get("k", store.ReadOptions{Floor: seen("k", 0, 0, 1)}))
	next = seen("other", 9)
	do(get("other", store.ReadOptions{}))
	next = seen("k", 4, 2, 1)
	_, err := s.Delete(ctx, "k", store.WriteOptions{})
	do(err)
	want := []string{
		"put {}", "get {0001.1:1}", "put {0001.1:1 0002.1:2}", "get {0001.1:3 0002.1:2 0003.1:1}", "get {}", "delete {0001.1:3 0002.1:2 0003.1:1}",
	}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %q\nwant  %q", asked, want)
	}
}

func TestASessionDoesNotForgetSilently(t *testing.T) {
	a := &conn{f: func(_ context.Context, args, reply any) error {
		r := args.(*storepb.GetRequest)
		reply.(*storepb.GetReply).Context = seen(store.Key(r.GetKey()), 1)
		return nil
	}}
	s := New(a, Options{}).Session()
	for i := range SessionKeysMax {
		if _, err := s.Get(context.Background(), store.Key(fmt.Sprint(i)), store.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(context.Background(), "one more", store.ReadOptions{}); !errors.Is(err, store.ErrInvalid) || a.calls.Load() != SessionKeysMax {
		t.Errorf("got %v after %d calls", err, a.calls.Load())
	}
	if _, err := s.Get(context.Background(), "0", store.ReadOptions{}); err != nil {
		t.Errorf("a key that it remembers: %v", err)
	}
}

// A context that cannot be read is not remembered, and of a put it proves nothing.
func TestASessionTrustsNoGarbledContext(t *testing.T) {
	s := New(&conn{f: func(_ context.Context, _, reply any) error {
		if r, ok := reply.(*storepb.PutReply); ok {
			r.Context = []byte("garbled")
		}
		return nil
	}}, Options{}).Session()
	if _, err := s.Put(context.Background(), "k", nil, store.WriteOptions{}); Outcome(err) != store.OutcomeUnknown {
		t.Errorf("%v is %v", err, Outcome(err))
	}
	if _, err := s.Get(context.Background(), "k", store.ReadOptions{}); err != nil {
		t.Errorf("the session is no longer of use: %v", err)
	}
}

func TestAnUnmetFloorIsAnErrorOfItsOwn(t *testing.T) {
	st, err := status.New(codes.Unavailable, "behind").WithDetails(&storepb.SessionFailure{Meta: &storepb.Meta{Rounds: 7}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(answering(st.Err()), Options{}).Session().Get(context.Background(), "k", store.ReadOptions{})
	var behind *store.SessionError
	if !errors.Is(err, store.ErrSession) || !errors.As(err, &behind) || behind.Meta.Rounds != 7 || !Definite(err) {
		t.Errorf("got %v", err)
	}
}
