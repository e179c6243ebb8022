package storage

// A KV is an ordered map of bytes on disk. It is safe for concurrent use. Calls may
// take long, so no caller holds a mutex over one.
type KV interface {
	// Get returns a copy of the value that the caller owns. ok is false if there is none.
	Get(key []byte) (value []byte, ok bool, err error)
	// Apply makes the changes of b in order, all or none. With sync they are on disk
	// when it returns. After an error they may or may not be there.
	Apply(b *Batch, sync bool) error
	// Scan calls fn for the keys in [lo, hi) in ascending order, as of one moment,
	// until fn returns false. The slices are valid during the call of fn only. fn must not
	// call the KV.
	Scan(lo, hi []byte, fn func(key, value []byte) bool) error
	// Close releases the files. No other call may be running or follow.
	Close() error
}

// A Batch is a list of changes that happen together. The zero Batch is empty. It
// keeps the slices it is given, which must not change before it is applied.
type Batch struct {
	ops       []change
	sizeBytes int
	buffered  bool // may be acknowledged before it is on disk; for the Replica, no KV asks
}

type change struct {
	key, value []byte
	deleted    bool
}

// Set gives the key a value.
func (b *Batch) Set(key, value []byte) {
	b.ops = append(b.ops, change{key: key, value: value})
	b.sizeBytes += len(key) + len(value)
}

// Delete removes the key; it need not exist.
func (b *Batch) Delete(key []byte) {
	b.ops = append(b.ops, change{key: key, deleted: true})
	b.sizeBytes += len(key)
}

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// SizeBytes returns the size of all keys and values.
func (b *Batch) SizeBytes() int { return b.sizeBytes }

// Changes calls fn for each change in order. The slices must not be written to.
func (b *Batch) Changes(fn func(key, value []byte, deleted bool)) {
	for _, c := range b.ops {
		fn(c.key, c.value, c.deleted)
	}
}

// prefixEnd returns the first key behind all that begin with the prefix, which must
// hold a byte other than 0xff.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
