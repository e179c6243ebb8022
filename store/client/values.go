package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/crdt"
	"cartwheel/store/version"
)

// AuthorsMax is of how many keys a Client remembers under which name it last changed them.
// When it is exceeded all are forgotten, which costs a few bytes in each value changed again.
const AuthorsMax = 10_000

// ErrConflict is the error of [Only] for a key with several values.
var ErrConflict = errors.New("values conflict")

// A Resolver makes one value of the live siblings of a key, which are one or more. It must
// not depend on their order.
type Resolver func(live [][]byte) ([]byte, error)

// Only is the Resolver of those who expect no conflicts: siblings that differ are an error
// that wraps ErrConflict.
func Only(live [][]byte) ([]byte, error) {
	for _, v := range live[1:] {
		if string(v) != string(live[0]) {
			return nil, fmt.Errorf("%d siblings: %w", len(live), ErrConflict)
		}
	}
	return live[0], nil
}

// GetOne reads a key and makes one value of it. found is false if it has none.
func (c *Client) GetOne(ctx context.Context, key store.Key, resolve Resolver) (value []byte, found bool, err error) {
	res, err := c.Get(ctx, key, store.ReadOptions{})
	if err != nil {
		return nil, false, err
	}
	live := values(Live(res.Siblings))
	if len(live) == 0 {
		return nil, false, nil
	}
	if value, err = resolve(live); err != nil {
		return nil, false, &Error{Op: "resolve", Key: key, Err: err, definite: true}
	}
	return value, true, nil
}

// A Cart is a shopping cart under one key: see [crdt.Cart]. Its changes are Updates; an add
// that was acknowledged is there until somebody who has seen it removes it.
type Cart struct {
	c   *Client
	key store.Key
}

// Cart returns the cart under a key. Nothing is asked of the store.
func (c *Client) Cart(key store.Key) *Cart { return &Cart{c, key} }

// Add puts so many more of an item into the cart, 1 to crdt.QuantityMax.
func (k *Cart) Add(ctx context.Context, item string, quantity int) error {
	if quantity < 1 || quantity > crdt.QuantityMax {
		return &Error{Op: "add", Key: k.key, Err: fmt.Errorf("quantity %d: %w", quantity, store.ErrInvalid), definite: true}
	}
	return change(ctx, k.c, k.key, crdt.DecodeCart, func(v crdt.Cart, by *crdt.Author) (crdt.Cart, error) {
		return v.Add(by, item, quantity), nil
	})
}

// Remove takes an item out of the cart, whatever its quantity.
func (k *Cart) Remove(ctx context.Context, item string) error {
	return change(ctx, k.c, k.key, crdt.DecodeCart, func(v crdt.Cart, _ *crdt.Author) (crdt.Cart, error) {
		if v.Items()[item] == 0 {
			return v, ErrKeep
		}
		return v.Remove(item), nil
	})
}

// Items returns the quantities by item.
func (k *Cart) Items(ctx context.Context) (map[string]int, error) {
	v, err := readValue(ctx, k.c, k.key, crdt.DecodeCart)
	return v.Items(), err
}

// A Set is a set of strings under one key: see [crdt.Set].
type Set struct {
	c   *Client
	key store.Key
}

// Set returns the set under a key. Nothing is asked of the store.
func (c *Client) Set(key store.Key) *Set { return &Set{c, key} }

// Add adds elements.
func (s *Set) Add(ctx context.Context, elements ...string) error {
	return change(ctx, s.c, s.key, crdt.DecodeSet, func(v crdt.Set, by *crdt.Author) (crdt.Set, error) {
		return v.Add(by, elements...), nil
	})
}

// Remove removes elements.
func (s *Set) Remove(ctx context.Context, elements ...string) error {
	return change(ctx, s.c, s.key, crdt.DecodeSet, func(v crdt.Set, _ *crdt.Author) (crdt.Set, error) {
		for _, e := range elements {
			if v.Has(e) {
				return v.Remove(elements...), nil
			}
		}
		return v, ErrKeep
	})
}

// Elements returns the elements, sorted.
func (s *Set) Elements(ctx context.Context) ([]string, error) {
	v, err := readValue(ctx, s.c, s.key, crdt.DecodeSet)
	return v.Elements(), err
}

// A Counter is a sum under one key: see [crdt.Counter]. An Add that ends with an error which is
// not [Definite] may have been made, once; adding again would then count twice.
type Counter struct {
	c   *Client
	key store.Key
}

// Counter returns the counter under a key. Nothing is asked of the store.
func (c *Client) Counter(key store.Key) *Counter { return &Counter{c, key} }

// Add adds n, which may be negative.
func (n *Counter) Add(ctx context.Context, by int64) error {
	return change(ctx, n.c, n.key, crdt.DecodeCounter, func(v crdt.Counter, author *crdt.Author) (crdt.Counter, error) {
		return v.Add(author, by), nil
	})
}

// Value returns the sum.
func (n *Counter) Value(ctx context.Context) (int64, error) {
	v, err := readValue(ctx, n.c, n.key, crdt.DecodeCounter)
	return v.Value(), err
}

// A Register is one value under one key, of which the last write wins: see [crdt.Register].
// Writes are stamped by Options.Clock.
type Register struct {
	c   *Client
	key store.Key
}

// Register returns the register under a key. Nothing is asked of the store.
func (c *Client) Register(key store.Key) *Register { return &Register{c, key} }

// Set sets the value.
func (r *Register) Set(ctx context.Context, value []byte) error {
	_, err := r.c.Update(ctx, r.key, func(live []store.Sibling) ([]byte, error) {
		v, err := crdt.DecodeRegister(values(live)...)
		if err != nil {
			return nil, err
		}
		author, err := r.c.newAuthor()
		if err != nil {
			return nil, err
		}
		return v.Set(&author, value, r.c.opts.Clock.Now()).Encode(), nil
	})
	return err
}

// Get returns the value and whether there is one.
func (r *Register) Get(ctx context.Context) (value []byte, found bool, err error) {
	v, err := readValue(ctx, r.c, r.key, crdt.DecodeRegister)
	if err != nil {
		return nil, false, err
	}
	value, found = v.Value()
	return value, found, nil
}

func values(siblings []store.Sibling) (out [][]byte) {
	for _, s := range siblings {
		out = append(out, s.Value)
	}
	return out
}

// readValue reads a key and joins its siblings.
func readValue[T any](ctx context.Context, c *Client, key store.Key, decode func(...[]byte) (T, error)) (v T, err error) {
	res, err := c.Get(ctx, key, store.ReadOptions{})
	if err != nil {
		return v, err
	}
	if v, err = decode(values(Live(res.Siblings))...); err != nil {
		var none T
		return none, &Error{Op: "get", Key: key, Err: err, definite: true}
	}
	return v, nil
}

// An authored value is changed by an author that it knows.
type authored interface {
	Knows(crdt.Author) bool
	Encode() []byte
}

// change updates a key by an edit of the join of its siblings. The client's author of the key
// makes it, if the value that was read has all that it made before; otherwise a new one does.
// An author whose write has an unknown outcome is not used again.
func change[T authored](ctx context.Context, c *Client, key store.Key, decode func(...[]byte) (T, error), edit func(T, *crdt.Author) (T, error)) error {
	before := c.takeAuthor(key)
	after := before
	_, err := c.Update(ctx, key, func(live []store.Sibling) ([]byte, error) {
		v, err := decode(values(live)...)
		if err != nil {
			return nil, err
		}
		author := before
		if !v.Knows(author) {
			if author, err = c.newAuthor(); err != nil {
				return nil, err
			}
		}
		if v, err = edit(v, &author); err != nil {
			return nil, err
		}
		after = author
		return v.Encode(), nil
	})
	switch {
	case err == nil:
		c.keepAuthor(key, after)
	case Definite(err):
		c.keepAuthor(key, before)
	}
	return err
}

// takeAuthor gives the author of a key to one caller; meanwhile others are new authors.
func (c *Client) takeAuthor(key store.Key) crdt.Author {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.authors[key]
	delete(c.authors, key)
	return a
}

func (c *Client) keepAuthor(key store.Key, a crdt.Author) {
	if a.Made == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authors == nil || len(c.authors) >= AuthorsMax {
		c.authors = map[store.Key]crdt.Author{}
	}
	c.authors[key] = a
}

func (c *Client) newAuthor() (crdt.Author, error) {
	id, err := c.newWriteID()
	return crdt.Author{ID: version.Actor{Node: binary.BigEndian.Uint64(id[:8]), Epoch: uint64(binary.BigEndian.Uint32(id[8:]))}}, err
}
