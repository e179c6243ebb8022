package main

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/merkle"
	"cartwheel/store/node"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

// cluster starts three nodes on loopback. Their members' addresses lead nowhere, as those
// inside containers do, so that --map is needed. It returns flags that reach them.
func cluster(t *testing.T) (flags []string) {
	t.Helper()
	return clusterWith(t, nil, nil)
}

// clusterWith is cluster with more options for servers and connections between them.
func clusterWith(t *testing.T, dial []grpc.DialOption, options []grpc.ServerOption) (flags []string) {
	t.Helper()
	conns := map[store.NodeID]*grpc.ClientConn{}
	var members []store.Member
	var listeners []net.Listener
	for _, id := range []store.NodeID{"n1", "n2", "n3"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := transport.Dial(l.Addr().String(), dial...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns[id], listeners = conn, append(listeners, l)
		members = append(members, store.Member{ID: id, Address: string(id) + ".invalid:7070"})
		flags = append(flags, "--map", string(id)+"="+l.Addr().String())
	}
	for i, m := range members {
		serve(t, m.ID, members, listeners[i], func(m store.Member) node.Connection {
			if conn := conns[m.ID]; conn != nil {
				return conn
			}
			return nil
		}, options...)
	}
	return append(flags, "--server", listeners[0].Addr().String())
}

func serve(t *testing.T, id store.NodeID, members []store.Member, l net.Listener, peers func(store.Member) node.Connection, options ...grpc.ServerOption) {
	t.Helper()
	began := time.Now()
	n, err := node.Open(node.Config{
		ID: id, Members: members, Partitions: 8, Dir: t.TempDir(), Peers: peers,
		Now: func() time.Duration { return time.Since(began) },
		Rand: func(names ...uint64) uint64 { // as different by node as their names
			sum := uint64(id[1])
			for _, n := range names {
				sum = sum*0x9e3779b97f4a7c15 + n
			}
			return sum
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(transport.ServerOptions(), options...)...)
	n.Register(server)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) }) // returns when it is stopped
	t.Cleanup(func() {
		server.Stop()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

// ctl runs one command and returns what it printed.
func ctl(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err = run(t.Context(), args, func(string) (string, bool) { return "", false }, &out, &errOut)
	return out.String(), errOut.String(), err
}

func TestALifeOfAKey(t *testing.T) {
	at := cluster(t)
	do := func(args ...string) string {
		t.Helper()
		out, _, err := ctl(t, append(args, at...)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out
	}
	expect := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
	}
	expect(do("put", "cart:1", "milk"), "milk", "context", "ok")
	expect(do("put", "cart:1", "bread"), "milk", "bread")
	expect(do("siblings", "cart:1", "-r", "3", "--strict"), "milk", "bread", "n1", "n2", "n3")
	out, advice, err := ctl(t, append([]string{"get", "cart:1"}, at...)...)
	if err != nil || out != "milk\nbread\n" && out != "bread\nmilk\n" {
		t.Errorf("get: %q, %v", out, err)
	}
	expect(advice, "2 siblings", "--merge")

	// A context supersedes what it has seen, and nothing later.
	var read keyJSON
	if err := json.Unmarshal([]byte(do("siblings", "cart:1", "--json", "--repair", "blocking")), &read); err != nil {
		t.Fatal(err)
	}
	do("put", "cart:1", "eggs")
	do("put", "cart:1", "milk bread", "--context", read.Context)
	if got := do("get", "cart:1"); got != "eggs\nmilk bread\n" && got != "milk bread\neggs\n" {
		t.Errorf("got %q", got)
	}
	do("put", "cart:1", "all", "--merge", "-w", "3")
	if got := do("get", "cart:1"); got != "all\n" {
		t.Errorf("got %q", got)
	}
	expect(do("replicas", "cart:1"), "all 3 owners agree", "owner", "n3")
	expect(do("ring", "cart:1"), "owners", "fallbacks  -")
	expect(do("ring"), "8 partitions, 3 replicas", "n2.invalid:7070")
	expect(do("plan", "--join", "n4=n4.invalid:7070", "--moves"), "NODE", "n4", "FROM ALL OF", "6 of 24 replicas would be copied")
	expect(do("plan", "--join", "n4=n4.invalid:7070", "--leave", "n1"), "8 of 24 replicas would be copied")
	expect(do("plan", "--zone", "n1=a"), "0 of 24 replicas would be copied")
	expect(do("plan"), "0 of 24 replicas would be copied")
	expect(do("hints"), "no hints wait")
	expect(do("trees"), "PARTITION", "(1)", "equal", "1 partitions hold keys; all owners are equal")
	expect(do("trees", "--check"), "n1 checked 1 records: 0 wrong leaves", "n3 checked")
	expect(do("status"), "n1", "n2", "n3", "IN FLIGHT")
	expect(do("stats"), "COUNTER", "n1", "n2", "n3", "coordinator_writes")
	expect(do("stats", "--all", "hint"), "hints_refused")
	expect(do("stats", "hints_refused"), "nothing was counted")
	var status []struct {
		Member string `json:"member"`
		Ring   string `json:"ring"`
	}
	if err := json.Unmarshal([]byte(do("status", "--json")), &status); err != nil || len(status) != 3 || status[2].Member != "n3" {
		t.Errorf("status as JSON: %v, %+v", err, status)
	} else {
		expect(do("ring"), status[0].Ring)
		expect(do("status"), status[0].Ring[:8])
	}
	do("delete", "cart:1", "--merge")
	for _, form := range [][]string{nil, {"--json"}} {
		out, _, err := ctl(t, slices.Concat([]string{"get", "cart:1"}, form, at)...)
		if exitCode(err) != 1 || !strings.Contains(explain(err), "no value") || form != nil && !json.Valid([]byte(out)) {
			t.Errorf("get %q of a deleted key: %v, exit code %d\n%s", form, err, exitCode(err), out)
		}
	}
	for _, command := range [][]string{{"status"}, {"stats"}, {"hints"}, {"trees"}, {"trees", "--check"}, {"ring"}, {"ring", "k"}, {"plan", "--join", "n4=h:1"}, {"replicas", "cart:1"}, {"siblings", "k"}} {
		if out := do(append(command, "--json")...); !json.Valid([]byte(out)) {
			t.Errorf("%q --json printed %s", command, out)
		}
	}
}

func TestErrorsSayWhatToDoNext(t *testing.T) {
	at := cluster(t)
	nowhere := []string{"--server", closedAddress(t)}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown command", []string{"frobnicate"}, 254, "--help"},
		{"unknown flag", []string{"get", "k", "--fast"}, 254, "--help"},
		{"missing value", append([]string{"put", "k"}, at...), 254, "KEY and VALUE"},
		{"bad server", []string{"get", "k", "--server", "n1"}, 254, "host:port"},
		{"bad map", []string{"status", "--map", "n1"}, 254, "id=host:port"},
		{"plan with too few", append([]string{"plan", "--leave", "n1"}, at...), 254, "at least as many members"},
		{"plan without a stranger", append([]string{"plan", "--leave", "n9"}, at...), 254, "no such member"},
		{"plan with a bad address", append([]string{"plan", "--join", "n4"}, at...), 254, "id=host:port"},
		{"plan with a bad capacity", append([]string{"plan", "--capacity", "n1=much"}, at...), 254, "--capacity"},
		{"plan of an address twice", append([]string{"plan", "--join", "n4=n1.invalid:7070"}, at...), 254, "another member's"},
		{"abort of nothing", append([]string{"abort"}, at...), 1, "there is nothing to abort"},
		{"commit of nothing", append([]string{"commit", "2"}, at...), 1, "commit: nothing is planned on n1: stage join"},
		{"bad floor", append([]string{"get", "k", "--floor", "%"}, at...), 254, "--floor"},
		{"bad not found", append([]string{"get", "k", "--not-found", "maybe"}, at...), 254, "basic-quorum"},
		{"two modes", append([]string{"put", "k", "v", "--strict", "--sloppy"}, at...), 254, "exclude each other"},
		{"bad repair", append([]string{"get", "k", "--repair", "lazy"}, at...), 254, "blocking"},
		{"delete without context", append([]string{"delete", "k"}, at...), 254, "--merge"},
		{"context and merge", append([]string{"put", "k", "v", "--merge", "--context", "AA"}, at...), 254, "exclude"},
		{"context of another key", append([]string{"put", "k", "v", "--context", "AAAA"}, at...), 1, "for this very key"},
		{"quorum too large", append([]string{"put", "k", "v", "-w", "4"}, at...), 1, "w is 4, want 1 to 3"},
		{"nobody there", append([]string{"put", "k", "v"}, nowhere...), 1, "--server"},
		{"members out of reach", []string{"status", "--timeout", "2s", at[len(at)-2], at[len(at)-1]}, 1, "--map id=host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := ctl(t, c.args...)
			if err == nil || exitCode(err) != c.code || !strings.Contains(explain(err), c.want) {
				t.Errorf("got exit code %d and\n%v\nwant %d and %q", exitCode(err), err, c.code, c.want)
			}
		})
	}
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Owners are compared with each other, and with nobody who did not answer or does not own.
func TestTreesOfOwnersAreCompared(t *testing.T) {
	answer := func(id store.NodeID, err error, trees ...storage.TreeStat) asked[client.TreeReport] {
		return asked[client.TreeReport]{member: store.Member{ID: id}, answer: client.TreeReport{Node: id, Trees: trees}, err: err}
	}
	tree := func(p ring.Partition, root byte) storage.TreeStat {
		return storage.TreeStat{Partition: p, Root: merkle.Sum{root}, Keys: int(root)}
	}
	got := compareTrees([]asked[client.TreeReport]{
		answer("a", nil, tree(1, 1), tree(2, 1), tree(4, 1)), answer("b", nil, tree(1, 1), tree(2, 2), tree(5, 7)), answer("c", store.ErrDown),
	}, client.Layout{Replicas: 2, Partitions: [][]store.NodeID{
		{"a", "b", "c"}, // no keys
		{"a", "b", "c"}, // equal
		{"a", "b", "c"}, // another root
		{"c", "b", "a"}, // c did not answer
		{"a", "b", "c"}, // only on a
		{"a", "c", "b"}, // b holds one, and owns nothing
	}})
	want := map[int]bool{1: true, 2: false, 4: false}
	if len(got) != len(want) {
		t.Errorf("got %+v", got)
	}
	for _, tree := range got {
		if equal, ok := want[tree.Partition]; !ok || tree.Equal != equal {
			t.Errorf("got %+v", tree)
		}
	}
}

func TestValuesAreShownOnOneLine(t *testing.T) {
	for _, c := range []struct {
		name string
		s    store.Sibling
		want string
	}{
		{"text", store.Sibling{Value: []byte(`["milk"]`)}, `["milk"]`},
		{"empty", store.Sibling{Value: []byte{}}, `""`},
		{"two lines", store.Sibling{Value: []byte("a\nb")}, `"a\nb"`},
		{"no text", store.Sibling{Value: []byte{0xff, 0}}, `"\xff\x00"`},
		{"deleted", store.Sibling{Tombstone: true}, "(deleted)"},
		{"long", store.Sibling{Value: bytes.Repeat([]byte("x"), 300)}, strings.Repeat("x", 200) + "... (300 bytes)"},
	} {
		if got := valueText(c.s); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestEveryMemberIsBackedUp(t *testing.T) {
	at := cluster(t)
	out, _, err := ctl(t, append(at, "backup", "monday")...)
	if err != nil || strings.Count(out, "/backups/monday") != 3 {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, _, err := ctl(t, append(at, "backup", "monday")...); err == nil || strings.Contains(out, "/backups") {
		t.Errorf("a second backup of the name: %v\n%s", err, out)
	}
}

func TestAPartitionIsArchivedAndRestored(t *testing.T) {
	at := cluster(t)
	do := func(args ...string) (string, error) {
		out, _, err := ctl(t, append(args, at...)...)
		return out, err
	}
	if _, err := do("put", "cart:1", "milk", "-w", "3"); err != nil {
		t.Fatal(err)
	}
	place, err := do("ring", "cart:1", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Partition int `json:"partition"`
	}
	if err := json.Unmarshal([]byte(place), &in); err != nil {
		t.Fatal(err)
	}
	partition := strconv.Itoa(in.Partition)
	out, err := do("backup", "monday", "--partition", partition)
	if err != nil || strings.Count(out, "/backups/monday/partition-000"+partition) != 3 || !strings.Contains(out, "KEYS") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err = do("restore", "monday", "--partition", partition); err != nil || !strings.Contains(out, "n3") {
		t.Errorf("%v:\n%s", err, out)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"restore", "monday"}, 254},
		{[]string{"backup", "monday", "--partition", "-2"}, 254},
		{[]string{"backup", "monday", "--partition", "8"}, 1}, // there are eight, from 0
		{[]string{"backup", "monday", "--partition", partition}, 1},
		{[]string{"restore", "tuesday", "--partition", partition}, 1},
	} {
		if out, err := do(c.args...); exitCode(err) != c.code {
			t.Errorf("%v: %v, exit code %d, want %d\n%s", c.args, err, exitCode(err), c.code, out)
		}
	}
}
