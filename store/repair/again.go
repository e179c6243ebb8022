package repair

import (
	"cartwheel/store"
	"cartwheel/store/merkle"
)

// turnsMax bounds the keys of which it is remembered how they were mended last. Beyond it all is forgotten, and begins anew.
const turnsMax = 4096

// A spot is a key as it is compared with one peer.
type spot struct {
	peer store.NodeID
	key  store.Key
}

// A turn is how a key was mended last, and how often just so one time after the other.
type turn struct {
	local, remote merkle.Sum
	times         uint64
}

// again counts a difference that was mended, and returns how often it was, with nothing else in between. Records only grow,
// so one that was mended comes back by no write: either it was not mended, or somebody has thrown away
// what the other gives back. The loop's alone.
func (a *AntiEntropy) again(peer store.NodeID, d merkle.Difference) (times uint64) {
	at := spot{peer, d.Key}
	t := a.turns[at]
	if t.local != d.Local || t.remote != d.Remote {
		t = turn{local: d.Local, remote: d.Remote}
	}
	if len(a.turns) >= turnsMax {
		clear(a.turns)
	}
	t.times++
	a.turns[at] = t
	return t.times
}
