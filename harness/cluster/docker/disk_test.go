package docker

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

func TestATracerIsToldWhatAFaultDoes(t *testing.T) {
	for _, tt := range []struct {
		fault harness.DiskFault
		want  string
	}{
		{harness.DiskFault{Full: true}, "inject=fsync,fdatasync:error=ENOSPC:when=1+1"},
		{harness.DiskFault{ReadOnly: true, Slow: time.Millisecond}, "inject=fsync,fdatasync:error=EROFS:when=1+1:delay_enter=1000us"},
		{harness.DiskFault{WriteErrors: 0.34}, "inject=fsync,fdatasync:error=EIO:when=1+3"},
		{harness.DiskFault{ReadErrors: 0.26}, "inject=pread64:error=EIO:when=1+4"},
		{harness.DiskFault{ReadErrors: 1, WriteErrors: 1}, "inject=pread64:error=EIO:when=1+1"},
		{harness.DiskFault{Slow: time.Second}, "inject=fsync,fdatasync:delay_enter=1000000us"},
	} {
		if args := traceArgs(tt.fault); args[len(args)-1] != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.fault, args[len(args)-1], tt.want)
		}
	}
}

func TestATracersLogTellsWhatItHit(t *testing.T) {
	const log = `strace: Process 1 attached with 5 threads
[pid    12] fdatasync(15)               = -1 EIO (Input/output error) (INJECTED)
[pid    12] fdatasync(15 <unfinished ...>
[pid     9] <... fdatasync resumed>)    = 0 (DELAYED)
[pid     9] fsync(4)                    = -1 ENOSPC (No space left on device) (INJECTED) (DELAYED)
[pid     9] fdatasync(15)               = 0
[pid    12] pread64(9</data/data/000007.sst>, 0xc000, 53, 812) = -1 EIO (Input/output error) (INJECTED)
[pid    12] pread64(4</sys/fs/cgroup/cpu.max>, 0xc000, 128, 0) = -1 EIO (Input/output error) (INJECTED)
[pid    12] pread64(4, 0xc000, 128, 0) = -1 EIO (Input/output error) (INJECTED)
[pid    12] pread64(4</sys/fs/cgroup/cpu.max> <unfinished ...>
[pid     9] pread64(9</data/data/000007.sst> <unfinished ...>
[pid    12] <... pread64 resumed>, 0xc000, 128, 0) = -1 EIO (Input/output error) (INJECTED)
[pid     9] <... pread64 resumed>, 0xc000, 53, 812) = -1 EIO (Input/output error) (INJECTED)
`
	if got := hits(log); got != 5 {
		t.Errorf("got %d, want 5: three are of no file on a disk", got)
	}
}

// lastSync is a chatter's fourth line.
func lastSync(c harness.Cluster, n harness.NodeID) (took time.Duration, how string, err error) {
	conn, err := net.DialTimeout("tcp", c.Address(n), 5*time.Second)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, "", err
	}
	lines := bufio.NewReader(conn)
	var line string
	for range 4 {
		if line, err = lines.ReadString('\n'); err != nil {
			return 0, "", err
		}
	}
	var ms int
	_, err = fmt.Sscan(line, &ms)
	_, how, _ = strings.Cut(strings.TrimSpace(line), " ")
	return time.Duration(ms) * time.Millisecond, how, err
}

func TestDisksAreBadOneByOneAndOverLives(t *testing.T) {
	needEngine(t)
	o := quietOptions(t, runName(t))
	o.Nodes = 2
	c := start(t, o)
	ctx := t.Context()
	if len(c.DiskFaults()) == 0 {
		t.Skip("SKIPPED: processes may not be traced here")
	}
	see := func(when string, n harness.NodeID, want string, least time.Duration) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s: a sync of %s ends with %q after %v", when, n, want, least), func() (bool, string) {
			took, how, err := lastSync(c, n)
			return err == nil && strings.Contains(how, want) && took >= least, fmt.Sprint(took, how, err)
		})
	}
	see("at first", "n1", "<nil>", 0)
	for _, f := range []struct {
		fault harness.DiskFault
		want  string
	}{
		{harness.DiskFault{Slow: 300 * time.Millisecond}, "<nil>"},
		{harness.DiskFault{WriteErrors: 1}, "notes: input/output error"},
		{harness.DiskFault{ReadErrors: 1}, "read /data/notes: input/output error"},
		{harness.DiskFault{Full: true}, "no space left on device"},
		{harness.DiskFault{ReadOnly: true}, "read-only file system"},
	} {
		if err := c.Disturb(ctx, "n1", f.fault); err != nil {
			t.Fatal(err)
		}
		see(fmt.Sprintf("%+v", f.fault), "n1", f.want, f.fault.Slow)
		see("the other", "n2", "<nil>", 0)
		if hit, err := c.Disturbed(ctx, "n1"); err != nil || hit == 0 {
			t.Errorf("%+v: hit %d calls, %v", f.fault, hit, err)
		}
	}
	before, err := c.Disturbed(ctx, "n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return c.Kill(ctx, "n1") },
		func() error { return c.Restart(ctx, "n1") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	see("in its next life", "n1", "read-only file system", 0)
	if hit, err := c.Disturbed(ctx, "n1"); err != nil || hit <= before {
		t.Errorf("hit %d calls in two lives and %d in the first, %v", hit, before, err)
	}
	if err := c.Undisturb(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	see("healed", "n1", "<nil>", 0)
	if hit, err := c.Disturbed(ctx, "n1"); err != nil || hit != 0 {
		t.Errorf("a healed disk has hit %d calls, %v", hit, err)
	}
}
