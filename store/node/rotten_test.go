package node_test

import (
	"bytes"
	"sync"

	"cartwheel/store"
	"cartwheel/store/storage"
)

// rotten is a record that goes bad, for as long as it is not written anew.
type rotten struct {
	mu  sync.Mutex
	key store.Key
	was []byte
}

func (r *rotten) begin(key store.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
}

// A decaying disk flips a bit of it.
type decaying struct {
	storage.KV
	rot *rotten
}

func (d decaying) Get(at []byte) ([]byte, bool, error) {
	b, ok, err := d.KV.Get(at)
	d.rot.mu.Lock()
	defer d.rot.mu.Unlock()
	if d.rot.key == "" || !ok || !bytes.HasPrefix(at, []byte("d/")) || !bytes.HasSuffix(at, []byte(d.rot.key)) {
		return b, ok, err
	}
	if d.rot.was == nil {
		d.rot.was = bytes.Clone(b)
	}
	if bytes.Equal(b, d.rot.was) {
		b[len(b)/2] ^= 1
	}
	return b, ok, err
}
