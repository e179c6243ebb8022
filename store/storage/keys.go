package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// Keys of the two databases. Partitions and lengths are big endian; lengths go before
// all but the last part, so that any bytes may be in a key or a name.
//
//	data   m/identity                               node number, incarnation, lease
//	       m/clean                                  the last shutdown was clean
//	       m/flushed                                nothing; written to sync what was before it
//	       m/history                                what the node knows of the cluster's layouts
//	       m/restored                               the data come from a backup and were not opened since
//	       m/leaves                                 format of the leaves
//	       m/tree/<part:2>                          hash tree, kept by a clean shutdown
//	       d/<part:2><key>                          record
//	       q/<part:2><key>                          note of a damaged record that is not restored yet
//	       x/<part:2><key>                          bytes of a damaged record that was let go
//	       t/<part:2><segment:2><key>               leaf of the record in the hash tree
//	hints  m/flushed                                the same
//	       h/<part:2><len:2><key><target>           hint record
//	       i/<len:2><target><part:2><key>           the same hint by target, no value
//	       x/<part:2><len:2><key><target>           bytes of a damaged hint
var (
	identityKey = []byte("m/identity")
	cleanKey    = []byte("m/clean")
	historyKey  = []byte("m/history")
	restoredKey = []byte("m/restored")
	leavesKey   = []byte("m/leaves")
	flushedKey  = []byte("m/flushed")
	treePrefix  = []byte("m/tree/")
	dataPrefix  = []byte("d/")
	leafPrefix  = []byte("t/")
	hintPrefix  = []byte("h/")

	quarantinePrefix = []byte("q/")
	indexPrefix      = []byte("i/")
)

const partSizeBytes = 2

// checkNames refuses what the encodings below cannot hold. The limits on what
// clients may store are far lower and are checked elsewhere.
func checkNames(p ring.Partition, key store.Key, target store.NodeID) error {
	const sizeMax = 1<<16 - 1
	if p >= ring.PartitionsMax || len(key) == 0 || len(key) > sizeMax || len(target) > sizeMax {
		return fmt.Errorf("partition %d, key of %d bytes, hint for %q: %w", p, len(key), target, store.ErrInvalid)
	}
	return nil
}

// cursorOf returns the part of a key of data or of the index that orders records:
// partition, then key.
func cursorOf(p ring.Partition, key store.Key) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(p)), key...)
}

func parseCursor(b []byte) (ring.Partition, store.Key, error) {
	if len(b) <= partSizeBytes {
		return 0, "", fmt.Errorf("cursor %x: %w", b, store.ErrInvalid)
	}
	return ring.Partition(binary.BigEndian.Uint16(b)), store.Key(b[partSizeBytes:]), nil
}

func quarantineKey(p ring.Partition, key store.Key) []byte {
	return append([]byte("q/"), cursorOf(p, key)...)
}

// asideKey is where the bytes of a damaged hint are kept.
func asideKey(hint []byte) []byte { return append([]byte("x/"), hint[len(hintPrefix):]...) }

// releasedKey is where the bytes of a damaged record are kept that nobody here will restore.
func releasedKey(p ring.Partition, key store.Key) []byte {
	return append([]byte("x/"), cursorOf(p, key)...)
}

func dataKey(p ring.Partition, key store.Key) []byte {
	return append([]byte("d/"), cursorOf(p, key)...)
}

// hintsOf begins the hints of one key, and of no other.
func hintsOf(p ring.Partition, key store.Key) []byte {
	b := binary.BigEndian.AppendUint16([]byte("h/"), uint16(p))
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	return append(b, key...)
}

func hintKey(p ring.Partition, key store.Key, target store.NodeID) []byte {
	return append(hintsOf(p, key), target...)
}

// IsHint reports whether a key of the two databases is that of a hint, for disks that treat hints in a way of their own.
func IsHint(key []byte) bool { return bytes.HasPrefix(key, hintPrefix) }

// IsRecord reports the same of a node's own records.
func IsRecord(key []byte) bool { return bytes.HasPrefix(key, dataPrefix) }

// hintTarget returns the last part of a hint's key.
func hintTarget(b []byte) (store.NodeID, error) {
	const head = 2 + partSizeBytes + 2
	if len(b) < head || len(b)-head < int(binary.BigEndian.Uint16(b[head-2:])) {
		return "", fmt.Errorf("hint key %x: %w", b, store.ErrCorrupt)
	}
	return store.NodeID(b[head+int(binary.BigEndian.Uint16(b[head-2:])):]), nil
}

// indexOf begins the index entries of one target, and of no other.
func indexOf(target store.NodeID) []byte {
	b := binary.BigEndian.AppendUint16([]byte("i/"), uint16(len(target)))
	return append(b, target...)
}

func indexKey(p ring.Partition, key store.Key, target store.NodeID) []byte {
	return append(indexOf(target), cursorOf(p, key)...)
}

// parseIndexKey is the inverse of indexKey.
func parseIndexKey(b []byte) (p ring.Partition, key store.Key, target store.NodeID, err error) {
	rest := b[min(len(b), len(indexPrefix)):]
	if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
		return 0, "", "", fmt.Errorf("hint index entry %x: %w", b, store.ErrCorrupt)
	}
	n := int(binary.BigEndian.Uint16(rest))
	target = store.NodeID(rest[2 : 2+n])
	if p, key, err = parseCursor(rest[2+n:]); err != nil {
		return 0, "", "", fmt.Errorf("hint index entry %x: %w", b, store.ErrCorrupt)
	}
	return p, key, target, nil
}
