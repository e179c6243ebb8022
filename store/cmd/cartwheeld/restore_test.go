package main

import (
	"path/filepath"
	"strings"
	"testing"

	"cartwheel/store"
	"cartwheel/store/client"
)

// A node is backed up while it serves, and a node on an empty disk begins from the backup.
func TestABackupMadeWhileServingIsRestored(t *testing.T) {
	address, dir, fresh := freeAddress(t), t.TempDir(), filepath.Join(t.TempDir(), "fresh")
	args := []string{
		"--id", "n1", "--replicas", "1", "--read-quorum", "1", "--write-quorum", "1", "--partitions", "8",
		"--listen", address, "--members", "n1=" + address,
	}
	life := func(more []string, f func(c *client.Client, a *client.Admin)) {
		t.Helper()
		stop, _ := start(t, nil, append(args, more...)...)
		ready(t, address)
		c, err := client.Dial(client.Options{Addresses: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a, err := client.DialAdmin(address, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		f(c, a)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	var backup string
	var number uint64
	life([]string{"--data", dir}, func(c *client.Client, a *client.Admin) {
		if _, err := c.Put(t.Context(), "before", []byte("milk"), nil, store.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		var size int64
		var err error
		if backup, size, err = a.Backup(t.Context(), "monday"); err != nil || size == 0 {
			t.Fatalf("backup of %d bytes: %v", size, err)
		}
		if _, err := c.Put(t.Context(), "after", []byte("eggs"), nil, store.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		st, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		number = st.NodeNumber
	})
	life([]string{"--data", fresh, "--restore", backup}, func(c *client.Client, a *client.Admin) {
		for key, want := range map[store.Key]int{"before": 1, "after": 0} {
			if got, err := c.Get(t.Context(), key, store.ReadOptions{}); err != nil || len(got.Siblings) != want {
				t.Errorf("%q: %v, %v; want %d siblings", key, got.Siblings, err, want)
			}
		}
		if st, err := a.Status(t.Context()); err != nil || st.NodeNumber == number {
			t.Errorf("the restored node goes on under the number %x, %v", number, err)
		}
	})
	if err := run(t.Context(), append(args, "--data", dir, "--restore", backup), environment(nil), &buffer{}, &buffer{}); err == nil || !strings.Contains(err.Error(), "data already") {
		t.Errorf("restored over data: %v", err)
	}
}
