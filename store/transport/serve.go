package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
)

// coordinate runs a handler that coordinates a request, unless the node is being drained. Peers forward requests as well as clients
// send them; whoever is refused asks another node.
func coordinate[Reply any](ctx context.Context, s *Server, op string, f func(context.Context) (Reply, error)) (Reply, error) {
	s.serving.Add(1) // before the look at draining, so that whoever sees 0 after it has begun knows that none follows
	defer s.serving.Add(-1)
	return named(ctx, s, op, func(ctx context.Context) (Reply, error) {
		if op == opForward {
			if err := s.meet(ctx); err != nil {
				var none Reply
				return none, err
			}
		}
		if s.draining.Load() {
			var none Reply
			return none, fmt.Errorf("node %s coordinates no new requests: %w", s.Self, store.ErrDraining)
		}
		return f(ctx)
	})
}

// opForward is the one call of the service Peer that coordinates.
const opForward = "forward"

// replicate runs a handler of another node's call.
func replicate[Reply any](ctx context.Context, s *Server, op string, f func(context.Context) (Reply, error)) (Reply, error) {
	return named(ctx, s, op, func(ctx context.Context) (Reply, error) {
		if err := s.meet(ctx); err != nil {
			var none Reply
			return none, err
		}
		return f(ctx)
	})
}

func (s *Server) meet(ctx context.Context) error {
	err := s.Protocol.meet(ctx, s.Self)
	if err != nil {
		s.strangers.Add(1)
	}
	return err
}

// Strangers is how many calls were refused because of the versions that their callers speak.
func (s *Server) Strangers() uint64 { return s.strangers.Load() }

// named runs a handler under the id of its request, and notes calls that were slow or went wrong. What a client sends without one gets one here.
func named[Reply any](ctx context.Context, s *Server, op string, f func(context.Context) (Reply, error)) (Reply, error) {
	id := requestFrom(ctx)
	if id == "" && (op == "get" || op == "put" || op == "delete") {
		id = fmt.Sprintf("%s-%d", s.Self, s.unnamed.Add(1))
	}
	if err := s.enter(); err != nil {
		var none Reply
		return none, encode(err, id)
	}
	defer s.handlers.Done()
	began := s.Now()
	reply, err := f(store.WithRequest(ctx, id))
	err = encode(err, id)
	s.note(op, id, s.Now()-began, err)
	return reply, err
}

// notesMax is how many calls are logged in a second; of more only the number is told, with the next.
const notesMax = 10

// notes count what was logged in the present second.
type notes struct {
	mu      sync.Mutex
	second  int64
	logged  int
	skipped int
}

// take returns whether to log now, and how many were not logged before.
func (n *notes) take(now time.Duration) (ok bool, skipped int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if second := int64(now / time.Second); second != n.second {
		n.second, n.logged = second, 0
	}
	if n.logged == notesMax {
		n.skipped++
		return false, 0
	}
	n.logged++
	skipped, n.skipped = n.skipped, 0
	return true, skipped
}

// note logs a call that was slow, or that failed for no fault of its caller's.
func (s *Server) note(op, id string, took time.Duration, err error) {
	failed := false
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unknown:
		failed = !errors.Is(Decode(err), store.ErrDraining)
	}
	if !failed && took < s.SlowAfter {
		return
	}
	ok, skipped := s.noted.take(s.Now())
	if !ok {
		return
	}
	text := "call was slow"
	if failed {
		text = "call failed"
	}
	s.Logger.Info(text, "component", "transport", "op", op, "request_id", id, "took", took, "err", err, "not_logged", skipped)
}

// Drain makes the server refuse to coordinate, or takes that back. It goes on as a replica. It returns how many requests are still being
// coordinated; once that is 0 none follows.
func (s *Server) Drain(draining bool) (inFlight int) {
	s.draining.Store(draining)
	return int(s.serving.Load())
}

// Draining reports whether the server refuses to coordinate.
func (s *Server) Draining() bool { return s.draining.Load() }
