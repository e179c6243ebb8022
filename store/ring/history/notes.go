package history

import (
	"slices"

	"cartwheel/store"
)

// Notes are the newest versions that a node has acked, synced and sync-acked; 0: none since it came to be a member.
type Notes struct{ Acked, Synced, SyncAcked uint64 }

// Notes returns how far a node has come.
func (h History) Notes(n store.NodeID) Notes {
	out := Notes{Acked: h.ack[n], SyncAcked: h.syncAck[n]}
	for _, v := range h.live {
		if v.synced[n] {
			out.Synced = v.Number
		}
	}
	return out
}

// Pending returns the step that the change waits for ("ack", "sync" or "sync-ack") and the nodes that have not taken
// it, sorted. With no change pending the step is empty.
func (h History) Pending() (step string, nodes []store.NodeID) {
	if len(h.live) < 2 {
		return "", nil
	}
	newest := h.Newest()
	for _, s := range []struct {
		name string
		done func(store.NodeID) bool
	}{
		{"ack", func(n store.NodeID) bool { return h.ack[n] >= newest.Number }},
		{"sync", func(n store.NodeID) bool { return newest.synced[n] }},
		{"sync-ack", func(n store.NodeID) bool { return h.syncAck[n] >= newest.Number }},
	} {
		if waits := slices.DeleteFunc(h.Waits(), s.done); len(waits) > 0 {
			return s.name, waits
		}
	}
	return "sync-ack", nil
}
