package cartwheel

import (
	"cartwheel/store"
	storenode "cartwheel/store/node"
)

// LastWriteWins begins the keys that lose concurrent writes: a workload that uses them
// shows what siblings are for, and that the checkers see the loss.
const LastWriteWins = "lww/"

// buckets are declared on every cluster that the harness starts, as on a command line.
var buckets = []string{"lww:last-write-wins"}

// Configure gives a node in a simulation what [Command] gives one in a container.
func Configure(c *storenode.Config) {
	for _, text := range buckets {
		b, err := store.ParseBucket(text)
		if err != nil {
			panic(err) // written above
		}
		c.Buckets = append(c.Buckets, b)
	}
}
