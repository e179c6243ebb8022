package wire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"cartwheel/store/storepb"
)

func TestNobodyListensMeansRefusedAfterARoundTrip(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		p := n.Start("n1") // started, but it does not listen yet
		defer p.Close()
		_, took, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
		wantCode(t, err, codes.Unavailable)
		if took < time.Millisecond || took >= 10*time.Millisecond {
			t.Errorf("refused after %v, want a round trip", took)
		}
	})
}

func TestAProcessThatDiesBreaksTheCallsItServes(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			return &storepb.ReplicaGetReply{}, nil // too late: the dead do not answer
		})
		time.AfterFunc(100*time.Millisecond, s.proc.Kill)
		_, took, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
		wantCode(t, err, codes.Unavailable)
		if took < 100*time.Millisecond || took > 105*time.Millisecond {
			t.Errorf("heard of it after %v, want one latency after 100ms", took)
		}
		s.proc.Close()
		if _, _, err = fetch(s.proc.Dial("n1"), "k", time.Second); err == nil {
			t.Error("a dead process made a call")
		}
	})
}

func TestACallersDeathCancelsWhatItAsked(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		ended := make(chan time.Duration, 1)
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			ended <- n.now()
			return nil, ctx.Err()
		})
		defer s.proc.Close()
		caller := n.Start("n2")
		time.AfterFunc(100*time.Millisecond, caller.Close)
		if _, _, err := fetch(caller.Dial("n1"), "k", time.Second); err == nil {
			t.Error("an answer for the dead")
		}
		if at := <-ended; at > 105*time.Millisecond {
			t.Errorf("the handler went on until %v", at)
		}
	})
}

func TestANewIncarnationDoesNotServeItsPredecessorsRequests(t *testing.T) {
	inBubble(t, Options{LatencyMin: 10 * time.Millisecond}, func(t *testing.T, n *Net) {
		old := serve(t, n, "n1", nil)
		var fresh *toy
		time.AfterFunc(5*time.Millisecond, func() { // the request is in flight
			old.proc.Close()
			fresh = serve(t, n, "n1", nil)
		})
		_, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
		wantCode(t, err, codes.Unavailable)
		synctest.Wait()
		if len(old.called())+len(fresh.called()) != 0 {
			t.Error("the request was served")
		}
		if _, _, err = fetch(n.Dial("c0", "n1"), "k", time.Second); err != nil {
			t.Errorf("the new incarnation does not serve: %v", err)
		}
		fresh.proc.Close()
	})
}

// A client library may swear that a request was never sent only if that is certain.
func TestOnlyAConnectionThatNeverWasIsUnsent(t *testing.T) {
	errUnsent := errors.New("unsent")
	o := Options{Unsent: func(err error) error { return errors.Join(errUnsent, err) }}
	inBubble(t, o, func(t *testing.T, n *Net) {
		if _, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second); !errors.Is(err, errUnsent) {
			t.Errorf("nobody listened: got %v", err)
		}
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		time.AfterFunc(100*time.Millisecond, s.proc.Close)
		if _, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second); err == nil || errors.Is(err, errUnsent) {
			t.Errorf("the process died while it served: got %v", err)
		}
	})
	o.LatencyMin = 10 * time.Millisecond
	inBubble(t, o, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		time.AfterFunc(5*time.Millisecond, s.proc.Close)
		if _, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second); err == nil || errors.Is(err, errUnsent) {
			t.Errorf("the connection was there and broke: got %v", err)
		}
	})
}

func TestOnlyOneIncarnationListens(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		if err := n.Start("n1").Listen(); err == nil {
			t.Error("two processes listen at one address")
		}
		s.proc.Close()
		if err := n.Start("n1").Listen(); err != nil {
			t.Errorf("the address of the dead is taken: %v", err)
		}
	})
}

func TestCloseWaitsForHandlers(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		returned := false
		s := serve(t, n, "n1", func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			time.Sleep(time.Minute) // a handler that is slow to stop
			returned = true
			return nil, ctx.Err()
		})
		time.AfterFunc(20*time.Millisecond, func() { s.proc.Kill() })
		_, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
		wantCode(t, err, codes.Unavailable)
		s.proc.Close()
		s.proc.Close()
		if !returned {
			t.Error("Close returned before the handler")
		}
	})
}
