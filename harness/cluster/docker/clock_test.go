package docker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

// wallOf reads a chatter's third line.
func wallOf(_ context.Context, c harness.Cluster, n harness.NodeID) (time.Time, error) {
	conn, err := net.DialTimeout("tcp", c.Address(n), 5*time.Second)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return time.Time{}, err
	}
	lines := bufio.NewReader(conn)
	var line string
	for range 3 {
		if line, err = lines.ReadString('\n'); err != nil {
			return time.Time{}, err
		}
	}
	var nanos int64
	_, err = fmt.Sscan(line, &nanos)
	return time.Unix(0, nanos), err
}

func TestClocksAreSkewedOneByOneAndOverLives(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	ctx := t.Context()
	// A tenth of a second is what Offset promises.
	near := func(when string, n harness.NodeID, least, most time.Duration) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s: %s is %s to %s ahead", when, n, least, most), func() (bool, string) {
			got, err := c.Offset(ctx, n)
			return err == nil && got >= least-100*time.Millisecond && got <= most+100*time.Millisecond, fmt.Sprint(got, err)
		})
	}
	set := func(n harness.NodeID, s harness.Skew) {
		t.Helper()
		if err := c.Skew(ctx, n, s); err != nil {
			t.Fatal(err)
		}
	}
	near("at first", "n1", 0, 0)
	set("n1", harness.Skew{Offset: time.Hour})
	near("bumped", "n1", time.Hour, time.Hour)
	near("the other", "n2", 0, 0)
	set("n1", harness.Skew{Offset: -time.Hour})
	near("bumped back", "n1", -time.Hour, -time.Hour)
	if err := c.Kill(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Offset(ctx, "n1"); err == nil {
		t.Errorf("a dead node's clock: got %s", got)
	}
	if err := c.Restart(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	near("in its next life", "n1", -time.Hour, -time.Hour)
	set("n1", harness.Skew{Drift: 100})
	near("drifting", "n1", 100*time.Second, time.Hour)
	set("n1", harness.Skew{Offset: time.Hour, Strobe: 200 * time.Millisecond})
	near("strobe, wrong", "n1", time.Hour, time.Hour)
	near("strobe, right", "n1", 0, 0)
	set("n1", harness.Skew{Drift: -1})
	near("frozen", "n1", -time.Hour, -time.Second)
	set("n1", harness.Skew{})
	near("right again", "n1", 0, 0)
	if err := c.Skew(ctx, "n1", harness.Skew{Drift: -2}); err == nil {
		t.Error("a clock was made to run backwards")
	}
	if err := c.Skew(ctx, "n9", harness.Skew{}); err == nil {
		t.Error("an unknown node was skewed")
	}
}

func TestAClockWithoutAFileIsNotSkewed(t *testing.T) {
	c := &Cluster{now: &running{pods: map[harness.NodeID]*pod{"n1": {}}}}
	if err := c.Skew(t.Context(), "n1", harness.Skew{Offset: 1}); err == nil || !strings.Contains(err.Error(), "ClockFile") {
		t.Errorf("got %v, want an error that names the option", err)
	}
	if _, err := c.Offset(t.Context(), "n1"); err == nil || !strings.Contains(err.Error(), "Wall") {
		t.Errorf("got %v, want an error that names the option", err)
	}
}
