package merkle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"cartwheel/store"
)

// FuzzDecode: bytes from a disk are the tree that was written there, or corrupt.
func FuzzDecode(f *testing.F) {
	f.Add(new(Tree).Encode())
	f.Add(append([]byte{Format, 1}, make([]byte, 8*Fanout)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The sum hides the inside from the fuzzer; give it bodies with a right one.
		sealed := binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
		for _, b := range [][]byte{b, sealed} {
			tree, err := Decode(b)
			if err != nil {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%v is not corrupt", err)
				}
				continue
			}
			again, err := Decode(tree.Encode())
			if err != nil || again.Root() != tree.Root() {
				t.Errorf("a tree with root %x does not survive its own encoding: %v", tree.Root(), err)
			}
		}
	})
}
