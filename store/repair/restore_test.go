package repair

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/storage"
)

// A record that went bad on disk comes back from the other owners, all of them: until then
// it is an error, and what only one of them held is not missing afterwards (bug M98).
func TestADamagedRecordComesBackFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		ctx, key := context.Background(), w.key(0, "n1", "n2", "n3")
		p := w.layout.Partition(key)
		for _, n := range []store.NodeID{"n1", "n2", "n3"} {
			w.put(n, key, "")
		}
		w.set(func() { w.rots, w.down["n3"] = map[store.NodeID]store.Key{"n1": key}, true })
		if _, err := w.replicas["n1"].Get(ctx, p, key); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("got %v", err)
		}
		a := w.start("n1")
		time.Sleep(time.Minute)
		if _, err := w.replicas["n1"].Get(ctx, p, key); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("without one of the owners: %v", err)
		}
		w.set(func() { w.down["n3"] = false })
		time.Sleep(time.Minute)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		got, err := w.replicas["n1"].Get(ctx, p, key)
		if err != nil || len(got.Siblings()) != 2 {
			t.Errorf("got %v, %v; want what the others hold", got, err)
		}
		if s := w.replicas["n1"].Stats(); s.Restored != 1 || s.SetAside != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

var _ Restorer = (*storage.Replica)(nil)

// A rotten disk flips a bit of a record, for as long as that is not written anew.
type rotten struct {
	storage.KV
	w   *network
	on  store.NodeID
	was []byte // the record as it was when it went bad
}

func (r *rotten) Get(at []byte) ([]byte, bool, error) {
	b, ok, err := r.KV.Get(at)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if key := r.w.rots[r.on]; !ok || key == "" || !bytes.HasPrefix(at, []byte("d/")) || !bytes.HasSuffix(at, []byte(key)) {
		return b, ok, err
	}
	if r.was == nil {
		r.was = bytes.Clone(b)
	}
	if bytes.Equal(b, r.was) {
		b[len(b)/2] ^= 1
	}
	return b, ok, err
}
