package wire

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store/storepb"
)

func TestACallTakesOneLatencyEachWay(t *testing.T) {
	inBubble(t, Options{Seed: 1}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		defer s.proc.Close()
		got, took, err := fetch(n.Dial("c0", "n1"), "cart", time.Second)
		if err != nil || got != "cart" {
			t.Fatalf("got %q, %v", got, err)
		}
		there := s.called()[0]
		for _, leg := range []time.Duration{there, took - there} {
			if leg < 500*time.Microsecond || leg >= 5*time.Millisecond {
				t.Errorf("a leg of %v, want within [500us, 5ms)", leg)
			}
		}
	})
}

func TestMetadataAndAddressesTravel(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			from, _ := peer.FromContext(ctx)
			method, _ := grpc.Method(ctx)
			if err := grpc.SetHeader(ctx, metadata.Pairs("method", method, "from", from.Addr.String())); err != nil {
				return nil, err
			}
			if err := grpc.SendHeader(ctx, nil); err != nil {
				return nil, err
			}
			if grpc.SetHeader(ctx, metadata.Pairs("late", "1")) == nil {
				return nil, errors.New("a header after the header was taken")
			}
			return &storepb.ReplicaGetReply{}, grpc.SetTrailer(ctx, metadata.Pairs("echo", strings.Join(md.Get("token"), "+")))
		})
		defer s.proc.Close()
		var header, trailer metadata.MD
		var at peer.Peer
		ctx := metadata.AppendToOutgoingContext(context.Background(), "Token", "a", "token", "b")
		_, err := storepb.NewPeerClient(n.Dial("c7", "n1")).ReplicaGet(ctx, &storepb.ReplicaGetRequest{},
			grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&at))
		if err != nil {
			t.Fatal(err)
		}
		want := metadata.Pairs("method", "/cartwheel.store.v1.Peer/ReplicaGet", "from", "sim://c7")
		if !reflect.DeepEqual(header, want) || !reflect.DeepEqual(trailer, metadata.Pairs("echo", "a+b")) || at.Addr.String() != "sim://n1" {
			t.Errorf("got header %v, trailer %v, peer %v", header, trailer, at.Addr)
		}
	})
}

func TestErrorsKeepCodeTextAndDetails(t *testing.T) {
	detail := &errdetails.ErrorInfo{Reason: "NOT_WRITTEN", Metadata: map[string]string{"sent": "0"}}
	full, err := status.New(codes.Unavailable, "no quorum").WithDetails(detail)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		err  error
		want *status.Status
	}{
		{"status with details", full.Err(), full},
		{"plain error", errors.New("ouch"), status.New(codes.Unknown, "ouch")},
		{"handler's deadline", context.DeadlineExceeded, status.New(codes.DeadlineExceeded, "context deadline exceeded")},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, n *Net) {
				s := serve(t, n, "n1", func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) { return nil, c.err })
				defer s.proc.Close()
				_, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
				if got := status.Convert(err); !proto.Equal(got.Proto(), c.want.Proto()) {
					t.Errorf("got %v, want %v", got.Proto(), c.want.Proto())
				}
			})
		})
	}
}

func TestUnknownMethodsStreamsAndGiantsAreRefused(t *testing.T) {
	inBubble(t, Options{MessageBytesMax: 100}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", func(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			return &storepb.ReplicaGetReply{State: make([]byte, 10*len(r.Key))}, nil
		})
		defer s.proc.Close()
		c := n.Dial("c0", "n1")
		_, err := storepb.NewKVClient(c).Get(context.Background(), &storepb.GetRequest{})
		wantCode(t, err, codes.Unimplemented)
		_, err = c.NewStream(context.Background(), nil, "/x/y")
		wantCode(t, err, codes.Unimplemented)
		_, _, err = fetch(c, strings.Repeat("k", 101), time.Second)
		wantCode(t, err, codes.ResourceExhausted)
		if len(s.called()) != 0 {
			t.Error("the handler saw a giant request")
		}
		_, _, err = fetch(c, strings.Repeat("k", 50), time.Second) // the reply is the giant
		wantCode(t, err, codes.ResourceExhausted)
	})
}

func TestTheDeadlineTravelsAsRemainingTime(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		const timeout = 100 * time.Millisecond
		var left time.Duration
		ended := make(chan error, 1)
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		defer s.proc.Close()
		_, took, err := fetch(n.Dial("c0", "n1"), "k", timeout)
		wantCode(t, err, codes.DeadlineExceeded)
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler ended with %v", err)
		}
		if took < timeout || took > timeout+pauseMax || left > timeout || left < timeout-pauseMax {
			t.Errorf("the caller waited %v and the handler had %v, want %v each", took, left, timeout)
		}
	})
}

func TestCancellationReachesTheHandler(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		ended := make(chan time.Duration, 1)
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			ended <- n.now()
			return nil, ctx.Err()
		})
		defer s.proc.Close()
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := storepb.NewPeerClient(n.Dial("c0", "n1")).ReplicaGet(ctx, &storepb.ReplicaGetRequest{})
		wantCode(t, err, codes.Canceled)
		if late := <-ended - 50*time.Millisecond; late < 500*time.Microsecond || late >= 5*time.Millisecond {
			t.Errorf("the handler heard of it after %v, want one latency", late)
		}
		_, err = storepb.NewPeerClient(n.Dial("c0", "n1")).ReplicaGet(ctx, &storepb.ReplicaGetRequest{})
		wantCode(t, err, codes.Canceled)
		if n := len(s.called()); n != 1 {
			t.Errorf("%d requests served, want 1: a cancelled call sends nothing", n)
		}
	})
}

// Whatever acts on such failures, as a coordinator that parks a hint for each while its node
// closes, would otherwise act in an order that the scheduler chooses.
func TestCallsThatCannotBeginFailAtInstantsOfTheirOwn(t *testing.T) {
	const calls = 8
	for name, end := range map[string]struct {
		code codes.Code
		over func(p *Proc, cancel context.CancelFunc)
	}{
		"dead":      {codes.Unavailable, func(p *Proc, _ context.CancelFunc) { p.Kill() }},
		"cancelled": {codes.Canceled, func(_ *Proc, cancel context.CancelFunc) { cancel() }},
		"both":      {codes.Unavailable, func(p *Proc, cancel context.CancelFunc) { p.Kill(); cancel() }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, n *Net) {
				p := n.Start("n1")
				defer p.Close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				end.over(p, cancel)
				began := n.now()
				took, errs := make([]time.Duration, calls), make([]error, calls)
				var work sync.WaitGroup
				for i := range calls {
					work.Go(func() {
						_, errs[i] = storepb.NewPeerClient(p.Dial("n2")).ReplicaGet(ctx, &storepb.ReplicaGetRequest{Key: []byte(key(i))})
						took[i] = n.now() - began
					})
				}
				work.Wait()
				for _, err := range errs {
					wantCode(t, err, end.code)
				}
				slices.Sort(took)
				if took[0] == 0 || took[calls-1] > pauseMax || len(slices.Compact(slices.Clone(took))) != calls {
					t.Errorf("they failed after %v, want %d different times of at most %v", took, calls, pauseMax)
				}
			})
		})
	}
}
