package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/version"
)

// FuzzRecord: bytes from a disk are the record that was written there, or corrupt.
func FuzzRecord(f *testing.F) {
	set := version.Set{}.Put(nil, version.Version{Dot: version.Dot{Actor: version.Actor{Node: 1, Epoch: 1}, Counter: 1}, Value: []byte("v")})
	key := dataKey(3, "k")
	f.Add(key, record{tenure: tenure{1, 2, 3}, set: set}.encode(key))
	f.Add(key, record{tenure: tenure{1, 2, 3}, set: set, pruned: version.Vector{{Actor: version.Actor{Node: 7, Epoch: 1}, Counter: 2}}}.encode(key))
	f.Fuzz(func(t *testing.T, dbKey, b []byte) {
		// The sum hides the inside from the fuzzer; give it bodies with a right one.
		sealed := binary.BigEndian.AppendUint32(bytes.Clone(b), recordSum(dbKey, b))
		for _, b := range [][]byte{b, sealed} {
			r, err := decodeRecord(dbKey, b)
			if err != nil {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%x: %v is not corrupt", b, err)
				}
				continue
			}
			if again := r.encode(dbKey); !bytes.Equal(again, b) {
				t.Errorf("accepted %x, which no encode wrote: it writes %x", b, again)
			}
			if _, err := decodeRecord(append(bytes.Clone(dbKey), 'x'), b); err == nil {
				t.Errorf("%x is taken for the record of another key", b)
			}
		}
	})
}

// FuzzKeys: a key of the database is that of one record, or corrupt.
func FuzzKeys(f *testing.F) {
	f.Add(leafKey(3, "k"))
	f.Add(indexKey(3, "k", "n2"))
	f.Add(hintKey(3, "k", "n2"))
	f.Add(cursorOf(3, "k"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, key, err := parseLeafKey(b); err == nil && !bytes.Equal(leafKey(p, key)[2:], b[2:]) {
			t.Errorf("leaf key %x is read as %d %q", b, p, key)
		}
		if p, key, target, err := parseIndexKey(b); err == nil && !bytes.Equal(indexKey(p, key, target)[len(indexPrefix):], b[len(indexPrefix):]) {
			t.Errorf("index entry %x is read as %d %q for %q", b, p, key, target)
		}
		if p, key, err := parseCursor(b); err == nil && !bytes.Equal(cursorOf(p, key), b) {
			t.Errorf("cursor %x is read as %d %q", b, p, key)
		}
		if target, err := hintTarget(b); err == nil && !bytes.HasSuffix(b, []byte(target)) {
			t.Errorf("hint key %x is read as one for %q", b, target)
		}
	})
}

// FuzzLeafAndLease are the small values beside the records.
func FuzzLeafAndLease(f *testing.F) {
	f.Add(encodeLeaf(leafKey(1, "a"), merkle.Sum{1, 2, 3}))
	f.Add(lease{Identity: Identity{Node: 1, Incarnation: 2}, end: 3}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if sum, err := decodeLeaf(leafKey(1, "a"), b); err == nil && !bytes.Equal(encodeLeaf(leafKey(1, "a"), sum), b) {
			t.Errorf("leaf %x is read as %x", b, sum)
		}
		for _, b := range [][]byte{b, binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))} {
			if l, err := decodeLease(b); err == nil && !bytes.Equal(l.encode(), b) {
				t.Errorf("identity %x is read as %+v", b, l)
			}
		}
	})
}
