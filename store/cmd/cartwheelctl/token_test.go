package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/credentials"
	"cartwheel/store/transport"
)

// Who operates needs the secret, who reads and writes does not, and who lacks it is told which flag to use.
func TestOperatorsShowTheirToken(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right := write(strings.Repeat("right", 5))
	token, err := credentials.OpenToken(right)
	if err != nil {
		t.Fatal(err)
	}
	at := clusterWith(t, nil, []grpc.ServerOption{grpc.ChainUnaryInterceptor(transport.ForBearers(token.Admits))})
	do := func(args ...string) (string, error) {
		out, _, err := ctl(t, append(args, at...)...)
		return out, err
	}
	if _, err := do("put", "k", "v"); err != nil {
		t.Errorf("put without the token: %v", err)
	}
	for _, command := range [][]string{{"status"}, {"members"}, {"hints"}, {"stats"}, {"trees"}, {"transfers"}, {"drain"}, {"backup", "b"}, {"replicas", "k"}} {
		if out, err := do(append(command, "--token-file", right)...); err != nil {
			t.Errorf("%v with the token: %v", command, err)
		} else if strings.Contains(out, "denied") {
			t.Errorf("%v with the token: %s", command, out)
		}
		for _, wrong := range [][]string{nil, {"--token-file", write(strings.Repeat("wrong", 5))}} {
			if out, err := do(append(command, wrong...)...); err == nil || !strings.Contains(explain(err), "--token-file") {
				t.Errorf("%v %v: got %v\n%s\nwant it refused, and --token-file named", command, wrong, err, out)
			}
		}
	}
	if _, err := do("status", "--token-file", write("short")); exitCode(err) != 254 {
		t.Errorf("a short token: %v, want wrong usage", err)
	}
}

func TestMembersAreReachedOnTheOperatorsPort(t *testing.T) {
	g := globals{adminPort: 7080, mapped: []string{"n2=127.0.0.1:7172"}}
	for member, want := range map[store.Member]string{
		{ID: "n1", Address: "a:7070"}:     "a:7080",
		{ID: "n2", Address: "b:7070"}:     "127.0.0.1:7172",
		{ID: "n3", Address: "[::1]:7070"}: "[::1]:7080",
	} {
		if got := g.reach(member); got != want {
			t.Errorf("%v is asked at %s, want %s", member, got, want)
		}
	}
}
