package crdt

import (
	"encoding/binary"
	"math"

	"cartwheel/store/version"
)

// A Cart is a shopping cart: items with quantities (Dynamo paper, section 4.4). Adds to two
// copies add up, and a removal takes away the adds that its author had seen: "add to cart" is never lost, and
// unlike with a plain union what was removed does not come back. The zero Cart is empty.
type Cart struct{ s version.Set }

// QuantityMax is the most that one add may ask for; the least is 1.
const QuantityMax = math.MaxInt32

// DecodeCart joins encoded carts; of none it makes the empty one. The error wraps
// store.ErrInvalid if a value is no cart, and store.ErrCorrupt if it is damaged.
func DecodeCart(values ...[]byte) (Cart, error) {
	s, err := decode(kindCart, values, func(v version.Version) bool {
		n, size := binary.Uvarint(v.Value)
		return size > 0 && n >= 1 && n <= QuantityMax
	})
	return Cart{s}, err
}

// Encode returns the canonical bytes: equal carts have equal bytes.
func (c Cart) Encode() []byte { return encode(kindCart, c.s) }

// Merge joins two copies.
func (c Cart) Merge(d Cart) Cart { return Cart{version.Merge(c.s, d.s)} }

// Knows reports whether the author may go on changing this copy; see [Author].
func (c Cart) Knows(a Author) bool { return knows(c.s, a) }

// Add returns c with so many more of an item, 1 to QuantityMax; other quantities are
// brought into that range.
func (c Cart) Add(by *Author, item string, quantity int) Cart {
	value := binary.AppendUvarint(nil, uint64(min(max(quantity, 1), QuantityMax)))
	return Cart{c.s.Put(nil, version.Version{Dot: by.next(), Value: append(value, item...)})}
}

// Remove returns c without the item, whatever its quantity. It needs no author.
func (c Cart) Remove(item string) Cart {
	return Cart{without(c.s, func(v version.Version) bool {
		name, _ := line(v)
		return name == item
	})}
}

// Items returns the quantities by item.
func (c Cart) Items() map[string]int {
	items := map[string]int{}
	for _, v := range c.s.Versions {
		name, quantity := line(v)
		items[name] += quantity
	}
	return items
}

// line reads one add.
func line(v version.Version) (item string, quantity int) {
	n, size := binary.Uvarint(v.Value)
	return string(v.Value[size:]), int(n)
}
