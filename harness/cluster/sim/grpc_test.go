package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/harness"
	"cartwheel/store/storepb"
)

// onGRPC runs a test on a started cluster of three toys that talk through gRPC itself.
func onGRPC(t *testing.T, f func(t *testing.T, c *Cluster)) {
	t.Helper()
	inBubble(t, Options{GRPC: true}, f)
}

// between2 returns n1's own connection to n2.
func between2(t *testing.T, c *Cluster) *grpc.ClientConn {
	t.Helper()
	_, v, err := c.find("n1")
	must(t, err)
	conn, err := v.alive().plug.peer("n2")
	must(t, err)
	return conn.(*grpc.ClientConn)
}

func ping(conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := storepb.NewPeerClient(conn).Ping(ctx, &storepb.PingRequest{From: "n1"})
	return err
}

// untilOK pings until it succeeds and returns how long that took.
func untilOK(t *testing.T, conn grpc.ClientConnInterface) time.Duration {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < time.Minute {
		if ping(conn) == nil {
			return time.Since(begin)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no ping succeeded within a minute")
	return 0
}

// The store's connections promise to be of use again within two seconds of a heal, however
// long the link was cut and whatever the connection has come to.
func TestAHealedLinkIsInUseWithinTwoSeconds(t *testing.T) {
	there, back := harness.Link{From: "n1", To: "n2"}, harness.Link{From: "n2", To: "n1"}
	for name, links := range map[string][]harness.Link{"both ways": {there, back}, "there": {there}, "back": {back}} {
		for _, cut := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 33 * time.Second} {
			t.Run(fmt.Sprint(name, " ", cut), func(t *testing.T) {
				onGRPC(t, func(t *testing.T, c *Cluster) {
					conn := between2(t, c)
					must(t, ping(conn))
					must(t, c.Cut(t.Context(), "f", links))
					time.AfterFunc(cut, func() { _ = c.Mend(context.Background(), "f") })
					for begin := time.Now(); time.Since(begin) < cut; time.Sleep(50 * time.Millisecond) {
						if err := ping(conn); err == nil && time.Since(begin) < cut {
							t.Fatal("a ping came through the cut")
						}
					}
					if took := untilOK(t, conn); took > 2*time.Second {
						t.Errorf("in use %v after the heal", took)
					}
				})
			})
		}
	}
}

// A node that is frozen for longer than the keepalive waits is found out, also by calls
// without a deadline of their own.
func TestKeepaliveEndsCallsToAFrozenNode(t *testing.T) {
	onGRPC(t, func(t *testing.T, c *Cluster) {
		conn := between2(t, c)
		must(t, ping(conn))
		must(t, c.Pause(t.Context(), "n2"))
		begin := time.Now()
		_, err := storepb.NewPeerClient(conn).Ping(context.Background(), &storepb.PingRequest{From: "n1"})
		if took := time.Since(begin); status.Code(err) != codes.Unavailable || took < 10*time.Second || took > 30*time.Second {
			t.Errorf("got %v after %v, want Unavailable soon after ten seconds of silence", err, took)
		}
		must(t, c.Resume(t.Context(), "n2"))
		if took := untilOK(t, conn); took > 2*time.Second {
			t.Errorf("in use %v after it went on", took)
		}
	})
}

func TestARestartedNodeIsFoundAgain(t *testing.T) {
	onGRPC(t, func(t *testing.T, c *Cluster) {
		must(t, put(c, "n2", "safe", "1", true))
		must(t, put(c, "n2", "lost", "1", false))
		conn := between2(t, c)
		must(t, ping(conn))
		must(t, c.Kill(t.Context(), "n2"))
		time.Sleep(10 * time.Millisecond)
		if err := ping(conn); status.Code(err) != codes.Unavailable {
			t.Errorf("a dead node: got %v", err)
		}
		time.Sleep(time.Minute)
		must(t, c.Restart(t.Context(), "n2"))
		if took := untilOK(t, conn); took > 2*time.Second {
			t.Errorf("found %v after its start", took)
		}
		time.Sleep(2 * time.Second) // the client's connection, too
		for key, want := range map[string]string{"safe": "1", "lost": ""} {
			if got, err := get(c, "n2", key); got != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
			}
		}
	})
}

// Large messages need HTTP/2's flow control: they are longer than its first window.
func TestAMessageLongerThanAWindowArrives(t *testing.T) {
	onGRPC(t, func(t *testing.T, c *Cluster) {
		value := strings.Repeat("0123456789abcdef", 64<<10)
		must(t, put(c, "n1", "big", value, true))
		if got, err := get(c, "n1", "big"); got != value || err != nil {
			t.Errorf("got %d bytes of %d, %v", len(got), len(value), err)
		}
	})
}

func TestConnectionsOfAStoppedClusterAreOver(t *testing.T) {
	var conn grpc.ClientConnInterface
	onGRPC(t, func(t *testing.T, c *Cluster) {
		var err error
		conn, err = c.Conn(3, "n1")
		must(t, err)
		again, err := c.Conn(3, "n1")
		if must(t, err); again != conn {
			t.Error("two connections of one client to one node")
		}
		must(t, ping(conn))
		must(t, c.Stop(t.Context()))
		if err := ping(conn); status.Code(err) != codes.Canceled {
			t.Errorf("got %v from a stopped cluster", err)
		}
		if _, err := c.Conn(3, "n1"); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
}
