package cartwheel

import (
	"cartwheel/harness"
	"cartwheel/store"
	storenode "cartwheel/store/node"
)

// LastWriteWins begins the keys that lose concurrent writes: a workload that uses them
// shows what siblings are for, and that the checkers see the loss.
const LastWriteWins = "lww/"

// buckets are declared on every cluster that the harness starts, as on a command line.
var buckets = []string{"lww:last-write-wins"}

// Configure gives nodes in a simulation what [Command] gives those in containers.
func Configure(o harness.StoreOptions) func(*storenode.Config) {
	return func(c *storenode.Config) {
		for _, text := range buckets {
			b, err := store.ParseBucket(text)
			if err != nil {
				panic(err) // written above
			}
			c.Buckets = append(c.Buckets, b)
		}
		c.HintSizeBytesMax = o.HintBytes
		if o.NoAntiEntropy {
			c.RepairInterval = -1
		}
	}
}
