package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOptionsReportAllProblemsAtOnce(t *testing.T) {
	_, err := New(Options{Run: "a b", Nodes: 65, Port: -1, Data: "data", Bind: "localhost"})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"a b", "65 nodes", "no store image", "port -1", "not an absolute path", "bind"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	c, err := New(Options{Run: "r", Image: "i", Port: 7000})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Nodes()); got != "[n1 n2 n3 n4 n5]" {
		t.Errorf("nodes: got %s", got)
	}
}

func TestNothingWorksBeforeStart(t *testing.T) {
	c, err := New(Options{Run: "r", Image: "i", Port: 7000})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, probed := c.Probe(ctx, nil)
	_, dropped := c.Dropped(ctx, "f")
	_, paused := c.Paused(ctx, "n1")
	for what, err := range map[string]error{
		"cut": c.Cut(ctx, "f", nil), "mend": c.Mend(ctx, "f"), "probe": probed, "dropped": dropped,
		"pause": c.Pause(ctx, "n1"), "resume": c.Resume(ctx, "n1"), "paused": paused, "logs": c.Logs(ctx, "n1", io.Discard),
	} {
		if !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: got %v, want %v", what, err, ErrNotRunning)
		}
	}
	if a := c.Address("n1"); a != "" {
		t.Errorf("address: got %q, want none", a)
	}
	if err := c.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestNoEngineSaysHowToGetOne(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "docker.sock"))
	c, err := New(Options{Run: "r", Image: "i", Port: 7000})
	if err != nil {
		t.Fatal(err)
	}
	_, cleaned := Clean(t.Context(), All)
	_, image := HostImage(t.Context(), "", nil)
	_, has := HasHostImage(t.Context(), "")
	reach := Reachable(t.Context())
	t.Setenv("DOCKER_HOST", "nonsense")
	for what, err := range map[string]error{
		"start": c.Start(t.Context()), "clean": cleaned, "image": image, "image there": has, "reach": reach, "nonsense": Reachable(t.Context()),
	} {
		if !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), "docker.io") {
			t.Errorf("%s: got %v, want %v and how to get one", what, err, ErrNoEngine)
		}
	}
	r := Examine(t.Context(), "")
	if r.Usable() || len(r.Checks) != 1 || r.Checks[0].Level != Broken || r.Checks[0].Remedy == "" || !strings.Contains(r.Checks[0].Detail, "nonsense") {
		t.Errorf("got %+v, want one broken check that says what it asked, with a remedy", r)
	}
}

func TestSubnetsAvoidThoseInUse(t *testing.T) {
	all := candidates("run", nil)
	if len(all) != 256 {
		t.Fatalf("got %d subnets, want 256", len(all))
	}
	used := []netip.Prefix{all[0], netip.PrefixFrom(all[1].Addr(), 26)}
	for _, s := range candidates("run", used) {
		for _, u := range used {
			if s.Overlaps(u) {
				t.Errorf("%s overlaps with %s, which is in use", s, u)
			}
		}
	}
	if got := candidates("run", used)[0]; got != all[2] {
		t.Errorf("first choice: got %s, want %s", got, all[2])
	}
	if got := candidates("run", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); len(got) > 0 {
		t.Errorf("got %v, want none: all are in use", got)
	}
	if got, want := hostAddress(subnet(4), nodesMax-1).String(), "10.213.4.74"; got != want {
		t.Errorf("last host: got %s, want %s", got, want)
	}
}

// A cluster by hand runs our images, whose labels its containers inherit: it is nobody's
// leftover.
func TestOnlyWhatARunMadeIsOurs(t *testing.T) {
	run := owner{}.labels("r1")
	byHand := map[string]string{labelOurs: "true", labelImage: "store"}
	for _, c := range []struct {
		run    string
		labels map[string]string
		want   bool
	}{{"", run, true}, {"r1", run, true}, {"r2", run, false}, {"", byHand, false}, {"r1", byHand, false}} {
		if got := ours(c.run).MatchKVList("label", c.labels); got != c.want {
			t.Errorf("run %q, labels %v: got %v, want %v", c.run, c.labels, got, c.want)
		}
	}
}

func TestStale(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	gone := func(path string) (bool, error) {
		switch path {
		case "live":
			return false, nil
		case "dead":
			return true, nil
		}
		return false, errors.New("cannot tell")
	}
	for _, test := range []struct {
		name, machine, lease string
		age                  time.Duration
		want                 bool
	}{
		{name: "live", machine: "here", lease: "live", age: time.Minute, want: false},
		{name: "live for long", machine: "here", lease: "live", age: 100 * time.Hour, want: false},
		{name: "dead", machine: "here", lease: "dead", age: time.Second, want: true},
		{name: "elsewhere, young", machine: "there", lease: "dead", age: time.Hour, want: false},
		{name: "elsewhere, old", machine: "there", lease: "live", age: 7 * time.Hour, want: true},
		{name: "cannot tell, young", machine: "here", lease: "odd", age: time.Hour, want: false},
		{name: "cannot tell, old", machine: "here", lease: "odd", age: 7 * time.Hour, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			labels := owner{machine: test.machine, lease: test.lease, since: now.Add(-test.age)}.labels("r")
			if got := ownerOf(labels).stale("here", now, gone); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if !ownerOf(nil).stale("here", now.Add(abandonedAfter), gone) {
		t.Error("objects without an owner must be stale")
	}
}

func TestLease(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	a, err := acquire("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acquire("x"); !errors.Is(err, errHeld) {
		t.Errorf("held lease: got %v, want %v", err, errHeld)
	}
	if gone, err := holderGone(a.path); gone || err != nil {
		t.Errorf("holder is gone: got %v, %v; want it alive", gone, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := await(soon, "x"); !errors.Is(err, errHeld) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await: got %v, want both reasons", err)
	}
	path := a.path
	a.release()
	a.release()
	if gone, err := holderGone(path); !gone || err != nil {
		t.Errorf("holder is gone: got %v, %v; want gone", gone, err)
	}
	b, err := await(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	b.release()
}

// TestHelperHoldsALease is not a test: it is the process that the next one kills.
func TestHelperHoldsALease(t *testing.T) {
	name := os.Getenv("CARTWHEEL_TEST_LEASE")
	if name == "" {
		t.Skip("runs as a child of TestKillReleasesALease")
	}
	l, err := acquire(name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	fmt.Println("holding")
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed
}

func TestKillReleasesALease(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperHoldsALease$", "-test.v")
	child.Env = append(os.Environ(), "CARTWHEEL_TEST_LEASE=x")
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "holding" {
	}
	path := filepath.Join(leaseDir(), "x.lock")
	if gone, err := holderGone(path); gone || err != nil {
		t.Errorf("before the kill: holder is gone: got %v, %v; want it alive", gone, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // says that it was killed
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the killed process tidied up, so this test shows nothing: %v", err)
	}
	if gone, err := holderGone(path); !gone || err != nil {
		t.Errorf("after the kill: holder is gone: got %v, %v; want gone", gone, err)
	}
	dropLease(path)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the killed process's file: got %v, want it removed", err)
	}
	l, err := acquire("x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	dropLease(path)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a held lease's file was removed: %v", err)
	}
}

func TestFollowFindsTheErrorInAProgressReport(t *testing.T) {
	begun := 0
	report := `{"status":"Pulling from library/debian"}{"stream":"Step 1/2\n"}{"stream":"boom\n"}{"error":"exit status 1"}`
	err := follow(strings.NewReader(report), func() { begun++ })
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v, want the error and what came before it", err)
	}
	if begun != 1 {
		t.Errorf("begun: got %d calls, want 1", begun)
	}
	if err := follow(strings.NewReader(`{"stream":"Successfully built"}`), nil); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if err := follow(strings.NewReader(`{"stream":`), nil); err == nil {
		t.Error("a torn report: got no error, want one")
	}
}

func TestDigestTellsPartsApart(t *testing.T) {
	if digest([]byte("ab"), []byte("c")) == digest([]byte("a"), []byte("bc")) {
		t.Error("different parts have one digest")
	}
}

func TestCheckoutIsFoundFromInside(t *testing.T) {
	root, err := checkout("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "docker", "store.Dockerfile")); err != nil {
		t.Error(err)
	}
	if _, err := checkout(t.TempDir()); err == nil {
		t.Error("outside of a checkout: got no error, want one")
	}
}

// What a surgeon does to a store's files, and takes back unless the store has changed them since.
func TestScriptDamagesAFileAndMakesItWhole(t *testing.T) {
	dir, keep := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	content := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-c", damageScript, "damage.sh"}, args...)...)
		cmd.Env = append(os.Environ(), "KEEP="+keep)
		said, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(said)), err
	}
	write("data/MANIFEST-1", "not to be touched")
	write("data/2.log", "")
	if said, err := run("rotten", dir, "0", "1"); err == nil {
		t.Errorf("nothing was damaged, and it says %q", said)
	}
	write("data/1.log", "0123456789")
	write("data/3.sst", "0123456789")
	for _, tt := range []struct{ how, file, part, name, want string }{
		{"rotten", "0", "1", "data/1.log", "1123456789"},
		{"rotten", "1000000", "1000000", "data/3.sst", "0123456788"},
		{"truncated", "0", "1", "data/1.log", "012345678"},
		{"truncated", "500000", "1000000", "data/3.sst", ""},
	} {
		said, err := run(tt.how, dir, tt.file, tt.part)
		if err != nil || said != tt.name || content(tt.name) != tt.want {
			t.Errorf("%+v: %q, %v; the file is %q", tt, said, err, content(tt.name))
		}
		if said, err := run("mend", dir); err != nil || content(tt.name) != "0123456789" {
			t.Errorf("%+v: mended it is %q, %q, %v", tt, content(tt.name), said, err)
		}
	}
	if _, err := run("truncated", dir, "0", "1000000"); err != nil {
		t.Fatal(err)
	}
	write("data/1.log", "new")
	if said, err := run("mend", dir); err != nil || content("data/1.log") != "new" {
		t.Errorf("what was written since is %q, %q, %v", content("data/1.log"), said, err)
	}
}
