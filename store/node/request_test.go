package node_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
	"cartwheel/store/storage"
)

// lines takes the log of some nodes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// about returns the lines that name a request.
func (l *lines) about(id string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, "request_id="+id+" ") {
			out = append(out, line)
		}
	}
	return out
}

// A request that fails because a replica is late is known by one id to the client, its coordinator and the replica; so is one that
// was given its id by its caller. The same draws give the same ids.
func TestARequestHasOneIdOnAllNodes(t *testing.T) {
	var ids []string
	for range 2 {
		var log lines
		change := func(c *node.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if c.ID != "n1" {
				c.Disk = func(kv storage.KV) storage.KV { return tardy{kv} }
			}
		}
		inClusterOf(t, change, func(t *testing.T, c *cluster) {
			key, _ := c.keyOf("n1")
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			cl := c.client("n1")
			_, err := cl.Put(ctx, key, []byte("milk"), nil, store.WriteOptions{W: 3})
			var failed *client.Error
			if !errors.As(err, &failed) || len(failed.Request) != 16 {
				t.Fatalf("got %v, want an error that names its request", err)
			}
			ids = append(ids, failed.Request)
			named := store.WithRequest(context.Background(), "my-own")
			if _, err := cl.Put(named, key, []byte("bread"), nil, store.WriteOptions{W: 3}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			for _, id := range []string{failed.Request, "my-own"} {
				told := strings.Join(log.about(id), "")
				if !strings.Contains(told, "node=n1 ") || !strings.Contains(told, "op=put ") || !strings.Contains(told, "op=replicamerge ") {
					t.Errorf("of request %s the logs say only:\n%s", id, told)
				}
			}
		})
	}
	if ids[0] != ids[1] {
		t.Errorf("the same draws gave the ids %v", ids)
	}
}

// A tardy disk takes longer to write than a call is expected to, and less than a replica may take.
type tardy struct{ storage.KV }

func (s tardy) Apply(b *storage.Batch, sync bool) error {
	time.Sleep(600 * time.Millisecond)
	return s.KV.Apply(b, sync)
}
