package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"

	"cartwheel/store"
	"cartwheel/store/transport"
)

// request gives a call an id, which all nodes that take part know it by, unless its caller has done so with store.WithRequest. It is no
// promise: without randomness there is none.
func (c *Client) request(ctx context.Context) context.Context {
	if id := store.RequestOf(ctx); id != "" {
		return transport.Requesting(ctx)
	}
	var id [8]byte
	if c.opts.Rand != nil {
		// Three names, where a write's id has two: the draws are others.
		binary.BigEndian.PutUint64(id[:], c.opts.Rand(c.calls.Add(1), 0, 0))
	} else if _, err := rand.Read(id[:]); err != nil {
		return ctx
	}
	return transport.Requesting(store.WithRequest(ctx, hex.EncodeToString(id[:])))
}
