package transport

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
)

var errOdd = errors.New("something odd")

// The table of the house rules on errors: what a server answers, and what its client may
// believe of a put that ended so.
func TestErrorsCrossTheWire(t *testing.T) {
	quorum := func(sent int) *store.QuorumError {
		return &store.QuorumError{Op: "put", Counted: "owners", Need: 2, Sent: sent, Acks: min(sent, 1), Meta: store.Meta{
			Coordinator: "n2", Forwarded: true, Partition: 7, Hinted: 1,
			Replies: []store.Reply{{Node: "n3", For: "n1", State: store.ReplicaTimeout, RTT: time.Second}},
		}}
	}
	for _, c := range []struct {
		name     string
		err      error
		code     codes.Code
		definite bool
		is       []error
	}{
		{name: "bad request", err: store.ErrInvalid, code: codes.InvalidArgument, definite: true, is: []error{store.ErrInvalid}},
		{name: "too large", err: store.ErrTooLarge, code: codes.InvalidArgument, definite: true, is: []error{store.ErrTooLarge}},
		{
			name: "a session's read", err: &store.SessionError{Meta: store.Meta{Coordinator: "n2", Need: 2, Rounds: 3, Total: time.Second}},
			code: codes.Unavailable, is: []error{store.ErrSession},
		},
		{name: "bad context", err: store.ErrBadContext, code: codes.InvalidArgument, definite: true, is: []error{store.ErrBadContext}},
		{name: "not an owner", err: store.ErrNotOwner, code: codes.FailedPrecondition, definite: true, is: []error{store.ErrNotOwner}},
		{name: "too many siblings", err: store.ErrSiblings, code: codes.ResourceExhausted, definite: true, is: []error{store.ErrSiblings}},
		{name: "overloaded", err: store.ErrOverloaded, code: codes.ResourceExhausted, definite: true, is: []error{store.ErrOverloaded}},
		{name: "closed", err: store.ErrClosed, code: codes.Unavailable, definite: true, is: []error{store.ErrClosed}},
		{name: "refused locally", err: store.ErrDown, code: codes.Unavailable, definite: true, is: []error{store.ErrDown}},
		{name: "damaged", err: store.ErrCorrupt, code: codes.Internal, is: []error{store.ErrCorrupt}},
		{name: "deadline", err: context.DeadlineExceeded, code: codes.DeadlineExceeded, is: []error{context.DeadlineExceeded}},
		{name: "cancelled", err: context.Canceled, code: codes.Canceled, is: []error{context.Canceled}},
		{name: "unknown", err: errOdd, code: codes.Internal},
		{name: "put handed to nobody", err: quorum(0), code: codes.Unavailable, definite: true, is: []error{store.ErrNoQuorum}},
		{name: "put handed to one, no ack", err: quorum(1), code: codes.Unavailable, is: []error{store.ErrNoQuorum}},
		{name: "put, one of two", err: quorum(3), code: codes.Unavailable, is: []error{store.ErrNoQuorum}},
		{
			name: "a missed quorum decides over its causes", err: fmt.Errorf("%w: %w: %w", store.ErrDown, store.ErrInvalid, quorum(2)),
			code: codes.Unavailable, is: []error{store.ErrNoQuorum, store.ErrDown, store.ErrInvalid},
		},
		{
			name: "nothing was written because of damage", err: fmt.Errorf("%w: %w", quorum(0), store.ErrCorrupt),
			code: codes.Unavailable, definite: true, is: []error{store.ErrNoQuorum, store.ErrCorrupt},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fmt.Errorf("while it was served: %w", c.err)
			for hop := range 3 { // a forwarded request's error crosses twice
				sent := encode(err, "")
				if got := status.Code(sent); got != c.code {
					t.Errorf("hop %d: code %v, want %v", hop, got, c.code)
				}
				err = Decode(sent)
				if got := store.Definite(err); got != c.definite {
					t.Errorf("hop %d: definite %v, want %v", hop, got, c.definite)
				}
				for _, k := range kinds {
					want := false
					for _, e := range c.is {
						want = want || e == k.err
					}
					if got := errors.Is(err, k.err); got != want {
						t.Errorf("hop %d: is %v: %v, want %v", hop, k.err, got, want)
					}
				}
				var before, after *store.QuorumError
				if errors.As(c.err, &before) != errors.As(err, &after) || !reflect.DeepEqual(before, after) {
					t.Errorf("hop %d: quorum %+v, want %+v", hop, after, before)
				}
				if want := "while it was served: " + c.err.Error(); err.Error() != want {
					t.Errorf("hop %d: text %q, want %q", hop, err, want)
				}
				if Unanswered(sent) {
					t.Errorf("hop %d: an answer is taken for silence", hop)
				}
			}
		})
	}
	if encode(nil, "") != nil || Decode(nil) != nil {
		t.Error("no error became one")
	}
}

// What no server of ours has sworn to proves nothing, whatever its code says.
func TestWithoutAnOathAnErrorIsIndefinite(t *testing.T) {
	foreign, err := status.New(codes.ResourceExhausted, "quota").WithDetails(&errdetails.ErrorInfo{Reason: "OVERLOADED", Domain: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	unsworn, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.ErrorInfo{
		Reason: "OVERLOADED", Domain: domain, Metadata: map[string]string{metaDefinite: "false"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		err    error
		silent bool
		is     error
	}{
		{"connection lost", status.Error(codes.Unavailable, "reset"), true, nil},
		{"deadline", status.Error(codes.DeadlineExceeded, "late"), true, context.DeadlineExceeded},
		{"cancelled", status.Error(codes.Canceled, "gone"), false, context.Canceled},
		{"bad request by the library", status.Error(codes.InvalidArgument, "no"), false, nil},
		{"message too large", status.Error(codes.ResourceExhausted, "no"), false, nil},
		{"another service's detail", foreign.Err(), false, nil},
		{"sworn to be indefinite", unsworn.Err(), false, nil},
		{"no status at all", errOdd, false, errOdd},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Decode(c.err)
			if store.Definite(got) {
				t.Errorf("%v is definite", got)
			}
			if Unanswered(c.err) != c.silent {
				t.Errorf("unanswered is %v, want %v", !c.silent, c.silent)
			}
			if c.is != nil && !errors.Is(got, c.is) {
				t.Errorf("%v is not %v", got, c.is)
			}
		})
	}
}

func TestWhatNeverLeftIsDefiniteAndCountsAsSilence(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded} {
		sent := notSent(status.Error(code, "connection refused"))
		if err := Decode(sent); !errors.Is(err, store.ErrDown) || !store.Definite(err) || !Unanswered(sent) || isCanceled(sent) {
			t.Errorf("%v: got %v, definite %v, silent %v", code, err, store.Definite(err), Unanswered(sent))
		}
	}
	if !isCanceled(notSent(status.Error(codes.Canceled, "gone"))) {
		t.Error("a call that its caller gave up says something of the peer")
	}
}

// gRPC tells of a failed handshake by its text alone.
func TestARefusedCertificateIsToldFromACut(t *testing.T) {
	for text, denied := range map[string]bool{
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`: true,
		`connection error: desc = "error reading server preface: remote error: tls: bad certificate"`:                                                             true,
		`connection error: desc = "error reading server preface: remote error: tls: certificate required"`:                                                        true,
		`connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`:                             false,
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`:                                            false,
	} {
		wire := notSent(status.Error(codes.Unavailable, text))
		err := Decode(wire)
		if errors.Is(err, store.ErrDenied) != denied || strings.HasPrefix(err.Error(), "certificate refused: ") != denied {
			t.Errorf("%s: got %v, want it told as a refused certificate: %t", text, err, denied)
		}
		if !errors.Is(err, store.ErrDown) || !store.Definite(err) || !Unanswered(wire) {
			t.Errorf("%s: got %v, want a node that was not reached, and a write that is definitely not made", text, err)
		}
	}
}
