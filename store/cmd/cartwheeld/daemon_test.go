package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/transport"
)

// A buffer takes the output of several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a daemon until stop is called.
func start(t *testing.T, vars map[string]string, args ...string) (stop func() error, log *buffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log = &buffer{}
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- run(ctx, args, environment(vars), log, log) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func() error { cancel(); return <-ended }, log
}

// ready asks until the daemon serves, at most half a minute long.
func ready(t *testing.T, address string) {
	t.Helper()
	conn, err := transport.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := time.Now().Add(30 * time.Second)
	for {
		reply, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil && reply.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not serving after half a minute: %v, %v", reply, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOneNodeServesAndKeepsItsDataOverARestart(t *testing.T) {
	address, dir := freeAddress(t), t.TempDir()
	vars := map[string]string{"CARTWHEELD_ID": "n1", "CARTWHEELD_REPLICAS": "1", "CARTWHEELD_READ_QUORUM": "1", "CARTWHEELD_WRITE_QUORUM": "1"}
	for life := range 2 {
		stop, log := start(t, vars, "--listen", address, "--members", "n1="+address, "--data", dir, "--partitions", "8")
		ready(t, address)
		c, err := client.Dial(client.Options{Addresses: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			if _, err := c.Put(t.Context(), "cart:1", []byte("milk"), nil, store.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.Get(t.Context(), "cart:1", store.ReadOptions{})
		if err != nil || len(got.Siblings) != 1 || string(got.Siblings[0].Value) != "milk" {
			t.Errorf("life %d: got %v, %v", life, got.Siblings, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Errorf("life %d: stop: %v", life, err)
		}
		for line := range strings.Lines(log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("log line is no JSON: %s", line)
			}
		}
		if n := strings.Count(log.String(), `"msg":"configured"`); n != 1 {
			t.Errorf("the configuration was logged %d times, want once", n)
		}
	}
}

// In memory it serves as well, leaves nothing on the disk, and comes back empty as another actor.
func TestANodeInMemoryForgetsAllAtItsEnd(t *testing.T) {
	address, dir := freeAddress(t), filepath.Join(t.TempDir(), "data")
	var numbers []uint64
	for life := range 2 {
		stop, _ := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--data", dir, "--storage", "memory",
			"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1")
		ready(t, address)
		c, err := client.Dial(client.Options{Addresses: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(t.Context(), "k", store.ReadOptions{}); err != nil || len(got.Siblings) != 0 {
			t.Errorf("life %d began with %v, %v", life, got.Siblings, err)
		}
		if _, err := c.Put(t.Context(), "k", []byte("v"), nil, store.WriteOptions{Durability: store.DurabilityAll}); err != nil {
			t.Error(err)
		}
		if got, err := c.Get(t.Context(), "k", store.ReadOptions{}); err != nil || len(got.Siblings) != 1 {
			t.Errorf("life %d shows %v, %v", life, got.Siblings, err)
		}
		admin, err := client.DialAdmin(address, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		st, err := admin.Status(t.Context())
		if err != nil {
			t.Error(err)
		}
		numbers = append(numbers, st.NodeNumber)
		if _, _, err := admin.Backup(t.Context(), "b"); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a backup in memory: %v", err)
		}
		if err := errors.Join(admin.Close(), c.Close(), stop()); err != nil {
			t.Error(err)
		}
	}
	if numbers[0] == numbers[1] {
		t.Error("a node that has forgotten all went on as the same actor")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory: %v, want none", err)
	}
}

// What a node says of the hour lies between two looks at the right clock, shifted by the skew.
func TestTheClockIsWrongWhileAFileSaysSo(t *testing.T) {
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "skew")
	stop, _ := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--data", t.TempDir(),
		"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1", "--clock-skew", file)
	ready(t, address)
	admin, err := client.DialAdmin(address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for text, want := range map[string]time.Duration{"": 0, "offset=1h": time.Hour, "offset=-1h": -time.Hour} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		st, err := admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if right := st.Wall.Add(-want); right.Before(before.Round(0)) || right.After(time.Now().Round(0)) {
			t.Errorf("%q: it says %s at %s", text, st.Wall, before)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A call that cannot reach anyone never left, and says so over real connections.
func TestARefusedConnectionProvesThatNothingWasSent(t *testing.T) {
	c, err := client.Dial(client.Options{Addresses: []string{freeAddress(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Put(t.Context(), "k", []byte("v"), nil, store.WriteOptions{})
	if !errors.Is(err, store.ErrDown) || client.Outcome(err) != store.OutcomeNotWritten {
		t.Errorf("got %v, which is %v, want not written", err, client.Outcome(err))
	}
}

// With one address dead the client goes on to the next.
func TestTheNextAddressIsTriedWhenNothingWasSent(t *testing.T) {
	address := freeAddress(t)
	stop, _ := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--data", t.TempDir(),
		"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1")
	ready(t, address)
	c, err := client.Dial(client.Options{Addresses: []string{freeAddress(t), address}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := c.Put(t.Context(), "k", []byte("v"), nil, store.WriteOptions{}); err != nil {
			t.Error(err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	var s settings
	cmd := command(&s, environment(map[string]string{
		"CARTWHEELD_ID": "n9", "CARTWHEELD_LISTEN": ":1", "CARTWHEELD_MEMBERS": "n1=a:1,n9=b:2", "CARTWHEELD_REPLICA_TIMEOUT": "3s",
	}), func(*cobra.Command) error { return nil })
	cmd.SetArgs([]string{"--listen", ":2"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.id, s.listen, s.members, s.replicaTimeout, s.readQuorum)
	if want := fmt.Sprint("n9", ":2", []string{"n1=a:1", "n9=b:2"}, 3*time.Second, 2); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongSettingsAreRefusedAllAtOnce(t *testing.T) {
	address := freeAddress(t)
	for _, c := range []struct {
		name string
		vars map[string]string
		args []string
		want []string
		not  string // nothing: any text may be there
	}{
		{name: "nothing given", want: []string{"--id is required", "one of --members and --join is required", "--help"}, not: "--advertise is required"},
		{name: "unknown flag", args: []string{"--fast"}, want: []string{"--fast", "--help"}},
		{name: "malformed member", args: []string{"--id", "n1", "--members", "n1"}, want: []string{"id=host:port"}},
		{name: "nowhere to be reached", args: []string{"--id", "n1", "--join", "a:1"}, want: []string{"--advertise is required"}},
		{name: "environment is named", vars: map[string]string{"CARTWHEELD_PARTITIONS": "many"}, want: []string{"CARTWHEELD_PARTITIONS"}},
		{name: "unknown level", args: []string{"--id", "n1", "--members", "n1=a:1", "--log-level", "loud"}, want: []string{`--log-level "loud"`, "debug, info, warn or error"}},
		{
			name: "more replicas than members", args: []string{"--id", "n1", "--members", "n1=" + address, "--listen", address},
			want: []string{"3 replicas on 1 members"},
		},
		{
			name: "not a member", args: []string{"--id", "n2", "--members", "n1=" + address, "--listen", address, "--replicas", "1"},
			want: []string{`"n2" is not among the members`},
		},
		{name: "tombstones of the future", args: []string{"--id", "n1", "--members", "n1=a:1", "--tombstone-grace", "-1s"}, want: []string{"--tombstone-grace"}},
		{name: "time runs backwards", args: []string{"--id", "n1", "--members", "n1=a:1", "--repair-interval", "-1s"}, want: []string{"--repair-interval"}},
		{name: "storage of glass", args: []string{"--id", "n1", "--members", "n1=a:1", "--storage", "glass"}, want: []string{"disk or memory"}},
		{name: "restored into memory", args: []string{"--id", "n1", "--members", "n1=a:1", "--storage", "memory", "--restore", "b"}, want: []string{"--restore needs"}},
		{name: "argument", args: []string{"start"}, want: []string{"start"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out buffer
			err := run(t.Context(), append(c.args, "--data", t.TempDir()), environment(c.vars), &out, &out)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to say %q", err, want)
				}
			}
			if err != nil && c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("got %v, want it not to say %q", err, c.not)
			}
		})
	}
}
