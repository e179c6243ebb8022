package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// A ringed cluster has one partition. It journals who was asked for what, and answers as told.
type ringed struct {
	mu      sync.Mutex
	list    []string // preference list, the first three are owners
	journal []string
	fetched int
	answer  func(node string, args any) error
	hold    func(ctx context.Context, node string)
}

func (r *ringed) conn(node string) *conn {
	return &conn{f: func(ctx context.Context, args, reply any) error {
		if r.hold != nil {
			r.hold(ctx, node)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		out, isRing := reply.(*storepb.RingReply)
		what := map[bool]string{true: "ring"}[isRing]
		switch args.(type) {
		case *storepb.GetRequest:
			what = "get"
		case *storepb.PutRequest:
			what = "put"
		}
		if !isRing {
			r.journal = append(r.journal, node+" "+what)
		}
		if err := r.answer(node, args); err != nil {
			return err
		}
		if isRing {
			r.fetched++
			out.Replicas = 3
			for _, n := range r.list {
				out.Members = append(out.Members, &storepb.Member{Id: n, Address: n + ":1"})
			}
			out.Partitions = []*storepb.PreferenceList{{Nodes: r.list}}
		}
		return nil
	}}
}

// asked returns the journal and begins a new one.
func (r *ringed) asked() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := strings.Join(r.journal, ", ")
	r.journal = nil
	return out
}

// routed runs f with a client that routes by itself, with a seed that is none of the members.
func routed(t *testing.T, f func(r *ringed, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &ringed{list: []string{"a", "b", "c", "d"}, answer: func(string, any) error { return nil }}
		conns := map[string]*conn{}
		c := New(r.conn("seed"), Options{Routing: ClientDriven, Connect: func(m store.Member) (grpc.ClientConnInterface, error) {
			if conns[m.Address] == nil {
				conns[m.Address] = r.conn(string(m.ID))
			}
			return conns[m.Address], nil
		}})
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		f(r, c)
	})
}

func (r *ringed) do(t *testing.T, c *Client, want string, outcome store.Outcome) {
	t.Helper()
	op, _, _ := strings.Cut(strings.TrimPrefix(want, "get "), " ")
	var err error
	if strings.Contains(want, "get") {
		_, err = c.Get(context.Background(), "k", store.ReadOptions{})
	} else {
		_, err = c.Put(context.Background(), "k", nil, nil, store.WriteOptions{})
	}
	if got := r.asked(); got != want || Outcome(err) != outcome {
		t.Errorf("%s: asked %q, want %q; %v is %v, want %v", op, got, want, err, Outcome(err), outcome)
	}
}

func TestAClientAsksThePreferenceListItself(t *testing.T) {
	routed(t, func(r *ringed, c *Client) {
		r.do(t, c, "a get", store.OutcomeOK)
		r.do(t, c, "a put", store.OutcomeOK)
		past := version.Token{Hint: "c"}.Encode("k")
		if _, err := c.Put(context.Background(), "k", nil, past, store.WriteOptions{}); err != nil || r.asked() != "c put" {
			t.Errorf("the owner that answered the read fastest was passed over: %v", err)
		}
		if _, err := c.Put(context.Background(), "k", nil, []byte("junk"), store.WriteOptions{}); err != nil || r.asked() != "a put" {
			t.Errorf("a context that is none is not the client's to refuse: %v", err)
		}
		if s := c.Stats(); s.Direct != 4 || s.Redirects != 0 || s.Refreshes != 1 {
			t.Errorf("counted %+v", s)
		}
	})
}

// What another node may be asked for, and what not.
func TestARequestIsSentOnOnlyIfItWasNotServed(t *testing.T) {
	broken := status.Error(codes.Unavailable, "reset")
	unsent := sworn(t, codes.Unavailable, "NOT_SENT", "true")
	for _, c := range []struct {
		name      string
		err       error
		get, put  string
		unwritten store.Outcome
	}{
		{"not reached", unsent, "a get, b get", "a put, b put", store.OutcomeOK},
		{"connection broke", broken, "a get, b get", "a put", store.OutcomeUnknown},
		{"closed", sworn(t, codes.Unavailable, "CLOSED", "true"), "a get, b get", "a put, b put", store.OutcomeOK},
		{"overloaded", sworn(t, codes.ResourceExhausted, "OVERLOADED", "true"), "a get, b get", "a put, b put", store.OutcomeOK},
		{"not the owner", sworn(t, codes.FailedPrecondition, "NOT_OWNER", "true"), "a get, b get", "a put, b put", store.OutcomeOK},
		{"wrong ring, nothing sworn", sworn(t, codes.FailedPrecondition, "WRONG_RING", "false"), "a get", "a put", store.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			for want, outcome := range map[string]store.Outcome{c.get: store.OutcomeOK, c.put: c.unwritten} {
				routed(t, func(r *ringed, cl *Client) {
					r.answer = func(node string, args any) error {
						if _, ring := args.(*storepb.RingRequest); node == "a" && !ring {
							return c.err
						}
						return nil
					}
					if want == "a get" { // a read that fails is definite
						outcome = store.OutcomeNotWritten
					}
					r.do(t, cl, want, outcome)
				})
			}
		})
	}
}

// A node that is cut off from the others is no reason to fail, as long as another is not: one more is asked, and no third.
func TestANodeThatReachesTooFewOthersIsNotTheLastWord(t *testing.T) {
	for _, c := range []struct {
		name     string
		sent     int
		lonely   string // nodes that reach too few
		get, put string
		getEnds  store.Outcome
		putEnds  store.Outcome
	}{
		{"one is cut off", 0, "a", "a get, b get", "a put, b put", store.OutcomeOK, store.OutcomeOK},
		{"all are", 0, "abcd", "a get, b get", "a put, b put", store.OutcomeNotWritten, store.OutcomeNotWritten},
		{"some may have it", 2, "a", "a get, b get", "a put", store.OutcomeOK, store.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			missed, err := status.New(codes.Unavailable, "no").WithDetails(
				&errdetails.ErrorInfo{Reason: "NO_QUORUM", Domain: "cartwheel", Metadata: map[string]string{"definite": fmt.Sprint(c.sent == 0)}},
				&storepb.QuorumFailure{Op: "put", Need: 2, Sent: uint32(c.sent)})
			if err != nil {
				t.Fatal(err)
			}
			routed(t, func(r *ringed, cl *Client) {
				r.answer = func(node string, args any) error {
					if _, ring := args.(*storepb.RingRequest); !ring && strings.Contains(c.lonely, node) {
						return missed.Err()
					}
					return nil
				}
				r.do(t, cl, c.get, c.getEnds)
				r.do(t, cl, c.put, c.putEnds)
			})
		})
	}
}

// The layout is fetched when a node says so, before the request goes on.
func TestANewLayoutIsFetchedAtOnce(t *testing.T) {
	moved := sworn(t, codes.FailedPrecondition, "WRONG_RING", "true")
	routed(t, func(r *ringed, c *Client) {
		r.list = []string{"e", "f", "c", "a"}
		r.answer = func(node string, args any) error {
			if _, ring := args.(*storepb.RingRequest); !ring && !slices.Contains(r.list[:3], node) {
				return moved
			}
			return nil
		}
		r.do(t, c, "a put, e put", store.OutcomeOK)
		r.do(t, c, "e put", store.OutcomeOK)
		if r.fetched != 2 {
			t.Errorf("fetched %d layouts, want 2", r.fetched)
		}
	})
}

func TestTheLayoutIsFetchedOnASchedule(t *testing.T) {
	routed(t, func(r *ringed, c *Client) {
		time.Sleep(9500 * time.Millisecond)
		r.list = []string{"e", "f", "c"}
		r.do(t, c, "a get", store.OutcomeOK)
		time.Sleep(time.Second)
		synctest.Wait()
		r.do(t, c, "e get", store.OutcomeOK)
	})
}

// A node that does not answer is asked last, until it answers again.
func TestASilentNodeIsAskedLastUntilItIsBack(t *testing.T) {
	unsent := sworn(t, codes.Unavailable, "NOT_SENT", "true")
	routed(t, func(r *ringed, c *Client) {
		down := true
		r.answer = func(node string, _ any) error {
			if down && node == "a" {
				return unsent
			}
			return nil
		}
		r.do(t, c, "a put, b put", store.OutcomeOK)
		time.Sleep(1500 * time.Millisecond)
		r.do(t, c, "b put", store.OutcomeOK)
		r.mu.Lock()
		down = false
		r.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		r.do(t, c, "a put", store.OutcomeOK)
	})
}

// What a client does when it is closed in the instant in which a node has fallen silent does not depend on what is seen first.
func TestAClientThatIsClosedFetchesNoLayout(t *testing.T) {
	for range 50 { // one in two of them had fetched one
		var asked *ringed
		fetched := 0
		routed(t, func(r *ringed, c *Client) {
			asked, fetched = r, r.fetched
			c.router.heard("a", false)
		})
		if asked.fetched != fetched {
			t.Fatalf("a layout was fetched by a client that was closed")
		}
	}
}

// While there is no layout, the servers route.
func TestWithoutALayoutTheServersRoute(t *testing.T) {
	none := errors.New("none")
	synctest.Test(t, func(t *testing.T) {
		r := &ringed{answer: func(_ string, args any) error {
			if _, ring := args.(*storepb.RingRequest); ring {
				return none
			}
			return nil
		}}
		c := New(r.conn("seed"), Options{Routing: ClientDriven})
		defer c.Close()
		r.do(t, c, "seed put", store.OutcomeOK)
		r.do(t, c, "seed get", store.OutcomeOK)
	})
}

func TestTheOrderOfAPreferenceList(t *testing.T) {
	list := []store.NodeID{"a", "b", "c", "d"}
	for _, c := range []struct {
		hint     store.NodeID
		suspects []store.NodeID
		want     string
	}{
		{"", nil, "[a b c d]"},
		{"c", nil, "[c a b d]"},
		{"d", nil, "[a b c d]"}, // no owner
		{"", []store.NodeID{"a", "b"}, "[c d a b]"},
		{"b", []store.NodeID{"a", "b"}, "[c d b a]"},
		{"x", []store.NodeID{"a", "b", "c", "d"}, "[a b c d]"}, // all are as good
	} {
		if got := fmt.Sprint(order(list, 3, c.hint, c.suspects)); got != c.want {
			t.Errorf("hint %q, suspects %v: got %s, want %s", c.hint, c.suspects, got, c.want)
		}
	}
}
