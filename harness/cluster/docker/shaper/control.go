package shaper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"cartwheel/harness"
)

// Queue is the number of the packet filter's queue that the shaper serves.
const Queue = 7

// socket is where the shaper is told what to do: an abstract address, which belongs to
// the pod's network namespace and needs no file.
const socket = "@cartwheel-shaper"

// patience is how long a shaper may take to come up or to answer.
const patience = 10 * time.Second

// A Fault is what one fault does to a link.
type Fault struct {
	Name  string        `json:"name"`
	Shape harness.Shape `json:"shape"` // its Loss is ignored
}

// A Request changes what is done to packets.
type Request struct {
	// Links are the faults of each link, by the sender's IPv4 address, instead of all that
	// were in force before. Null leaves everything as it is.
	Links map[string][]Fault `json:"links"`
}

// Reply counts the packets that each fault in force has changed or held up, by the
// sender's address and the fault's name, since it was first asked for.
type Reply struct {
	Hit   map[string]map[string]uint64 `json:"hit"`
	Error string                       `json:"error,omitempty"`
}

// Ask tells the namespace's shaper what to do and returns its counts. It waits up to 10 s
// for one that has just been started.
func Ask(ctx context.Context, q Request) (Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return Reply{}, fmt.Errorf("ask the shaper: %w", err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	var r Reply
	err = errors.Join(conn.SetDeadline(deadline), json.NewEncoder(conn).Encode(q))
	if err == nil {
		err = json.NewDecoder(conn).Decode(&r)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return Reply{}, fmt.Errorf("ask the shaper: %w", err)
	}
	return r, nil
}

// dial connects, repeatedly while nobody listens yet.
func dial(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		retry := time.NewTimer(20 * time.Millisecond)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return nil, err
		}
	}
}

// answer serves one connection: a request, a reply.
func answer(conn net.Conn, s *state) error {
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var q Request
	if err := json.NewDecoder(conn).Decode(&q); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	var r Reply
	if err := s.set(q.Links); err != nil {
		r.Error = err.Error()
	}
	r.Hit = s.hit()
	return json.NewEncoder(conn).Encode(r)
}
