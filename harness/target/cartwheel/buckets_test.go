package cartwheel

import (
	"slices"
	"strings"
	"testing"

	"cartwheel/harness"
	"cartwheel/store"
	storenode "cartwheel/store/node"
)

// Containers and simulations must run the same store.
func TestBothWorldsDeclareTheSameBuckets(t *testing.T) {
	var c storenode.Config
	Configure(harness.StoreOptions{})(&c)
	var fromCommand store.Buckets
	words := Command(harness.StoreOptions{})("n1", map[harness.NodeID]string{"n1": "n1:7070"})
	for i, word := range words {
		if word == "--bucket" {
			b, err := store.ParseBucket(words[i+1])
			if err != nil {
				t.Fatal(err)
			}
			fromCommand = append(fromCommand, b)
		}
	}
	if !slices.Equal(c.Buckets, fromCommand) || len(fromCommand) == 0 {
		t.Errorf("in a simulation %+v, in a container %+v", c.Buckets, fromCommand)
	}
	if b := c.Buckets.Of(store.Key(Owners + "k")); b.PR != 2 || b.PW != 2 || strings.Count(Owners, "/") != 1 {
		t.Errorf("keys that begin with %q get %+v", Owners, b)
	}
	if !c.Buckets.Of(store.Key(LastWriteWins+"k")).LastWriteWins || strings.Count(LastWriteWins, "/") != 1 {
		t.Errorf("keys that begin with %q are not last-write-wins", LastWriteWins)
	}
}

// What a workload wants of the store reaches it in both worlds.
func TestBothWorldsSetTheStoreUpAlike(t *testing.T) {
	o := harness.StoreOptions{NoAntiEntropy: true, HintBytes: 4096, HintRate: 512, CacheBytes: 1, MemtableBytes: 1 << 17}
	var c storenode.Config
	Configure(o)(&c)
	if c.RepairInterval >= 0 || c.HintSizeBytesMax != 4096 || c.HintRateBytes != 512 || c.CacheSizeBytes != 1 || c.MemtableSizeBytes != 1<<17 {
		t.Errorf("in a simulation: repair every %v, %d bytes of hints, %d a second, %d and %d bytes in memory", c.RepairInterval, c.HintSizeBytesMax, c.HintRateBytes, c.CacheSizeBytes, c.MemtableSizeBytes)
	}
	words := strings.Join(Command(o)("n1", map[harness.NodeID]string{"n1": "n1:7070"}), " ")
	for _, want := range []string{"--repair-interval 0s", "--hint-bytes 4096", "--hint-rate 512", "--cache-bytes 1", "--memtable-bytes 131072"} {
		if !strings.Contains(words, want) {
			t.Errorf("in a container: %q lacks %q", words, want)
		}
	}
}
