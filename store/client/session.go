package client

import (
	"context"
	"fmt"
	"sync"

	"cartwheel/store"
	"cartwheel/store/version"
)

// SessionKeysMax is how many keys a Session can remember. More are refused: a key that was
// forgotten would be read without its guarantees.
const SessionKeysMax = 10_000

// A Session reads what it has written and read. Per key it has the four guarantees of Terry
// and others (Session Guarantees for Weakly Consistent Replicated Data, 1994): read your
// writes, monotonic reads, monotonic writes, writes follow reads. A read that cannot be
// answered so fails with store.ErrSession; it never shows less. Nothing is promised across
// keys, nor of a write that did not end with an answer.
//
// A Session is safe for concurrent use; operations that overlap are not ordered among each other.
type Session struct {
	c *Client

	mu     sync.Mutex // guards floors, never a wait
	floors map[store.Key]version.Token
}

// Session begins a session that has seen nothing.
func (c *Client) Session() *Session {
	return &Session{c: c, floors: map[store.Key]version.Token{}}
}

// Get reads a key. The options' own floor, if any, is raised to the session's.
func (s *Session) Get(ctx context.Context, key store.Key, o store.ReadOptions) (store.ReadResult, error) {
	floor, err := s.seen(key)
	if err == nil {
		o.Floor, err = joined(key, floor, o.Floor)
	}
	if err != nil {
		return store.ReadResult{}, &Error{Op: "get", Key: key, Err: err, definite: true}
	}
	if o.Timeout == 0 {
		o.Timeout = s.c.opts.Timeout * 3 / 4 // so that the answer "not satisfied" comes before the call ends
	}
	res, err := s.c.Get(ctx, key, o)
	if err != nil {
		return res, err
	}
	return res, s.saw("get", key, res.Context)
}

// Put writes a value that supersedes all that the session has seen of the key.
func (s *Session) Put(ctx context.Context, key store.Key, value []byte, o store.WriteOptions) (store.WriteResult, error) {
	past, err := s.seen(key)
	if err != nil {
		return store.WriteResult{}, &Error{Op: "put", Key: key, Err: err, definite: true}
	}
	res, err := s.c.Put(ctx, key, value, past, o)
	if err != nil {
		return res, err
	}
	return res, s.saw("put", key, res.Context)
}

// Delete removes all that the session has seen of the key, which must be something.
func (s *Session) Delete(ctx context.Context, key store.Key, o store.WriteOptions) (store.WriteResult, error) {
	past, err := s.seen(key)
	if err != nil {
		return store.WriteResult{}, &Error{Op: "delete", Key: key, Err: err, definite: true}
	}
	res, err := s.c.Delete(ctx, key, past, o)
	if err != nil {
		return res, err
	}
	return res, s.saw("delete", key, res.Context)
}

// seen returns the context of all that the session has seen of a key.
func (s *Session) seen(key store.Key) (store.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	floor, ok := s.floors[key]
	switch {
	case ok:
		return floor.Encode(key), nil
	case len(s.floors) >= SessionKeysMax:
		return nil, fmt.Errorf("session remembers %d keys already, begin another: %w", SessionKeysMax, store.ErrInvalid)
	}
	return nil, nil
}

// saw raises the floor of a key by what an answer showed.
func (s *Session) saw(op string, key store.Key, c store.Context) error {
	token, err := version.DecodeToken(key, c)
	if err != nil { // the answer is not to be trusted, nor remembered; of a write it proves nothing
		return &Error{Op: op, Key: key, Err: fmt.Errorf("context of the answer: %v", err), definite: op == "get"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token.Vector = s.floors[key].Vector.Join(token.Vector)
	s.floors[key] = token
	return nil
}

// joined returns a context that covers what two contexts of a key cover.
func joined(key store.Key, a, b store.Context) (store.Context, error) {
	if len(b) == 0 {
		return a, nil
	}
	x, err := version.DecodeToken(key, a)
	if err != nil {
		return nil, err
	}
	y, err := version.DecodeToken(key, b)
	if err != nil {
		return nil, err
	}
	y.Vector = x.Vector.Join(y.Vector)
	return y.Encode(key), nil
}
