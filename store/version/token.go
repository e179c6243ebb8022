package version

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"

	"cartwheel/store"
)

// tokenFormat opens every context token. It differs from setFormat so that one is
// never taken for the other.
const tokenFormat = 0xC1

// A Token is the inside of a store.Context: what the client has seen of a key.
type Token struct {
	Vector Vector       // supersedes every version that it covers
	Hint   store.NodeID // replica that answered the read fastest: the next put's coordinator (paper, section 5)
}

// Encode binds the token to the key and seals it with a CRC32C.
func (t Token) Encode(key store.Key) store.Context {
	b := []byte{tokenFormat}
	b = binary.BigEndian.AppendUint64(b, keyHash(key))
	b = binary.AppendUvarint(b, uint64(len(t.Hint)))
	b = append(b, t.Hint...)
	return seal(appendVector(b, t.Vector))
}

// DecodeToken reads a context that was issued for key. The empty context is the
// empty token. A damaged token, or one of another key, gives an error that wraps
// store.ErrBadContext: accepting it could supersede versions that nobody has seen.
func DecodeToken(key store.Key, c store.Context) (Token, error) {
	if len(c) == 0 {
		return Token{}, nil
	}
	d, err := unseal(c, tokenFormat)
	if err != nil {
		return Token{}, badContext(err)
	}
	if got := binary.BigEndian.Uint64(d.bytes(8)); got != keyHash(key) {
		return Token{}, fmt.Errorf("%w: it was issued for another key than %q", store.ErrBadContext, key)
	}
	t := Token{Hint: store.NodeID(d.bytes(d.count(1)))}
	t.Vector = d.vector()
	if err := d.finish(); err != nil {
		return Token{}, badContext(err)
	}
	return t, nil
}

// badContext says what is wrong with a token, and not that stored data is corrupt.
func badContext(err error) error {
	return fmt.Errorf("%w: it is damaged or none of ours: %s", store.ErrBadContext, strings.TrimSuffix(err.Error(), ": "+store.ErrCorrupt.Error()))
}

func keyHash(key store.Key) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key)) // never fails
	return h.Sum64()
}
