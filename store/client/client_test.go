package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// A conn answers every call with f.
type conn struct {
	calls atomic.Int64
	f     func(ctx context.Context, args, reply any) error
}

func (c *conn) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	c.calls.Add(1)
	return c.f(ctx, args, reply)
}

func (c *conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unary only")
}

// sworn is a status as a server makes it, or this side's transport.
func sworn(t *testing.T, code codes.Code, reason, definite string) error {
	t.Helper()
	st, err := status.New(code, "no").WithDetails(&errdetails.ErrorInfo{
		Reason: reason, Domain: "cartwheel", Metadata: map[string]string{"definite": definite},
	})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func answering(err error) *conn {
	return &conn{f: func(context.Context, any, any) error { return err }}
}

func TestAnotherAddressIsTriedOnlyIfNothingWasSent(t *testing.T) {
	unsent := sworn(t, codes.Unavailable, "NOT_SENT", "true")
	for _, c := range []struct {
		name    string
		answers []error
		calls   []int
		outcome store.Outcome
	}{
		{"the first answers", []error{nil, nil}, []int{1, 0}, store.OutcomeOK},
		{"the first was not reached", []error{unsent, nil}, []int{1, 1}, store.OutcomeOK},
		{"nobody was reached", []error{unsent, unsent}, []int{1, 1}, store.OutcomeNotWritten},
		{"the connection broke", []error{status.Error(codes.Unavailable, "reset"), nil}, []int{1, 0}, store.OutcomeUnknown},
		{"no answer in time", []error{status.Error(codes.DeadlineExceeded, "late"), nil}, []int{1, 0}, store.OutcomeUnknown},
		{"refused", []error{sworn(t, codes.ResourceExhausted, "OVERLOADED", "true"), nil}, []int{1, 0}, store.OutcomeNotWritten},
		{"not reached, then unclear", []error{unsent, status.Error(codes.Unavailable, "reset")}, []int{1, 1}, store.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := answering(c.answers[0]), answering(c.answers[1])
			cl := New(a, Options{})
			cl.conns = append(cl.conns, b)
			_, err := cl.Put(context.Background(), "k", []byte("v"), nil, store.WriteOptions{})
			if got := Outcome(err); got != c.outcome || Definite(err) != (c.outcome == store.OutcomeNotWritten) {
				t.Errorf("%v is %v, want %v", err, got, c.outcome)
			}
			if int(a.calls.Load()) != c.calls[0] || int(b.calls.Load()) != c.calls[1] {
				t.Errorf("called %d and %d times, want %v", a.calls.Load(), b.calls.Load(), c.calls)
			}
		})
	}
}

func TestTheConnectionThatWorkedIsUsedNext(t *testing.T) {
	a, b := answering(sworn(t, codes.Unavailable, "NOT_SENT", "true")), answering(nil)
	cl := New(a, Options{})
	cl.conns = append(cl.conns, b)
	for range 3 {
		if _, err := cl.Get(context.Background(), "k", store.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls.Load() != 1 || b.calls.Load() != 3 {
		t.Errorf("called %d and %d times, want 1 and 3", a.calls.Load(), b.calls.Load())
	}
}

// Reads change nothing, so every failed read is definite.
func TestFailedReadsAreDefinite(t *testing.T) {
	cl := New(answering(status.Error(codes.Unavailable, "reset")), Options{})
	_, err := cl.Get(context.Background(), "k", store.ReadOptions{})
	var e interface{ Definite() bool }
	if !Definite(err) || !errors.As(err, &e) || !e.Definite() {
		t.Errorf("got %v, definite %v", err, Definite(err))
	}
}

func TestACallHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := New(&conn{f: func(ctx context.Context, _, _ any) error {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}}, Options{})
		began := time.Now()
		_, err := cl.Put(context.Background(), "k", nil, nil, store.WriteOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || Outcome(err) != store.OutcomeUnknown || time.Since(began) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// Every write has a name of its own, drawn as the options say, and the value that the
// reply elides is filled in.
func TestWritesAreNamedAndElidedValuesFilledIn(t *testing.T) {
	seen := map[string]bool{}
	echo := &conn{f: func(_ context.Context, args, reply any) error {
		id := args.(*storepb.PutRequest).GetWriteId()
		seen[string(id)] = true
		reply.(*storepb.PutReply).Versions = []*storepb.Version{{WriteId: id, ValueElided: true}}
		return nil
	}}
	seeded := Options{Rand: func(names ...uint64) uint64 { return names[0]*10 + names[1] }}
	for _, o := range []Options{{}, {}, seeded} {
		cl := New(echo, o)
		for range 3 {
			res, err := cl.Put(context.Background(), "k", []byte("milk"), nil, store.WriteOptions{})
			if err != nil || len(res.Siblings) != 1 || string(res.Siblings[0].Value) != "milk" || res.Siblings[0].WriteID.IsZero() || res.WriteID != res.Siblings[0].WriteID {
				t.Fatalf("got %+v, %v", res, err)
			}
		}
	}
	if len(seen) != 9 {
		t.Errorf("%d names for 9 writes", len(seen))
	}
	if !seen["\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x0b"] {
		t.Errorf("the options' draws were not used: %v", seen)
	}
}

func TestAClosedClientSendsNothing(t *testing.T) {
	a := answering(nil)
	cl := New(a, Options{})
	if err := errors.Join(cl.Close(), cl.Close()); err != nil {
		t.Error(err)
	}
	if _, err := cl.Put(context.Background(), "k", nil, nil, store.WriteOptions{}); !errors.Is(err, store.ErrClosed) || !Definite(err) || a.calls.Load() != 0 {
		t.Errorf("got %v after %d calls", err, a.calls.Load())
	}
}

// A reply that cannot be read says nothing of the write.
func TestAnUnreadableReplyIsNoProof(t *testing.T) {
	cl := New(&conn{f: func(_ context.Context, _, reply any) error {
		reply.(*storepb.PutReply).Versions = []*storepb.Version{{WriteId: []byte("short")}}
		return nil
	}}, Options{})
	if _, err := cl.Put(context.Background(), "k", nil, nil, store.WriteOptions{}); Outcome(err) != store.OutcomeUnknown {
		t.Errorf("%v is %v", err, Outcome(err))
	}
}

func TestErrorsNameTheCallAndTheKey(t *testing.T) {
	for want, e := range map[string]*Error{
		`put "cart:1": no`: {Op: "put", Key: "cart:1", Err: errors.New("no")},
		`status: no`:       {Op: "status", Err: errors.New("no")},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if Outcome(fmt.Errorf("wrapped: %w", &Error{Err: errors.New("no"), definite: true})) != store.OutcomeNotWritten {
		t.Error("a wrapped error lost its oath")
	}
	if _, err := Dial(Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("dial without addresses: %v", err)
	}
}
