package runner

import (
	"hash/fnv"
	"math/rand/v2"
)

// Stream is the run's source of random numbers for one consumer, by name. Streams of
// one seed are independent, so that one consumer's habits do not shift another's
// numbers. A stream is not safe to share.
func Stream(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
