package cartwheel

import (
	"cartwheel/harness"
	"cartwheel/store"
	storenode "cartwheel/store/node"
)

// LastWriteWins begins the keys that lose concurrent writes: a workload that uses them
// shows what siblings are for, and that the checkers see the loss.
const LastWriteWins = "lww/"

// Owners begins the keys whose requests need the owners themselves, in sloppy quorums. A workload
// that uses them asks for nothing and leaves all knobs to the bucket.
const Owners = "owners/"

// buckets are declared on every cluster that the harness starts, as on a command line.
var buckets = []string{"lww:last-write-wins", "owners:r=2,w=2,pr=2,pw=2,repair=blocking"}

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
		c.HintSizeBytesMax, c.HintRateBytes = o.HintBytes, o.HintRate
		c.CacheSizeBytes, c.MemtableSizeBytes = o.CacheBytes, o.MemtableBytes
		c.CheckInterval, c.TombstoneInterval = o.CheckInterval, o.TombstoneInterval
		if o.NoAntiEntropy {
			c.RepairInterval = -1
		}
		if o.FlushAfter > 0 {
			c.ObjectBuffer, c.FlushAfter = true, o.FlushAfter
		}
	}
}
