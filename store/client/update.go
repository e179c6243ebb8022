package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cartwheel/store"
)

// Limits of [Client.Update]: how often it tries, and how long it waits in between at first.
// The wait doubles.
const (
	updateAttempts = 5
	updatePause    = 20 * time.Millisecond
)

// ErrKeep is returned by the function of an Update that wants nothing written.
var ErrKeep = errors.New("keep what is there")

// Update reads a key, lets change make one value of its live siblings, and writes that in
// their place: the read, resolve, write of an application that must not lose anything
// (paper, section 4.4). There are no siblings if the key has no value. change may be called
// more than once and must depend on its argument only; its own errors end the update, and
// ErrKeep ends it without a write and without an error.
//
// A put whose outcome is unknown is sent again under the same name and with the same value
// and context, so that it is made once however often it arrives. A refusal which proves that
// nothing was written begins again from a fresh read. When attempts, five in all, are used up,
// the error of the last one says what may be believed; see [Definite].
func (c *Client) Update(ctx context.Context, key store.Key, change func(live []store.Sibling) ([]byte, error)) (res store.WriteResult, err error) {
	pause := updatePause
	var pending *request // a put of unknown outcome
	for attempt := range updateAttempts {
		if attempt > 0 {
			if werr := wait(ctx, pause); werr != nil {
				return store.WriteResult{}, err
			}
			pause *= 2
		}
		if pending == nil {
			next, rerr := c.prepare(ctx, key, change)
			if errors.Is(rerr, ErrKeep) {
				return store.WriteResult{}, nil
			}
			if err = rerr; err != nil {
				if isFinal(err) {
					return store.WriteResult{}, err
				}
				continue
			}
			pending = &next
		}
		unclear := err != nil && !Definite(err)
		if res, err = c.send(ctx, *pending); err == nil {
			return res, nil
		}
		switch {
		case unclear && Definite(err): // this attempt left nothing behind, an earlier one may have
			var e *Error
			if errors.As(err, &e) {
				e.definite = false
			}
		case Definite(err):
			if isFinal(err) {
				return store.WriteResult{}, err
			}
			pending = nil
		}
	}
	return store.WriteResult{}, err
}

// PutAgain is Put, save that it is sent again while its outcome is unknown, under the same name, so that it is
// made once however often it arrives: attempts times in all, with a pause that doubles. It also returns how often it was sent. The
// error is that of the last attempt; it proves that nothing was written only if every attempt's does.
func (c *Client) PutAgain(ctx context.Context, key store.Key, value []byte, past store.Context, attempts int, o store.WriteOptions) (res store.WriteResult, sent int, err error) {
	w, err := c.name("put", request{Key: key, Value: value, Context: past, Options: o})
	if err != nil {
		return store.WriteResult{}, 0, err
	}
	pause := updatePause
	for unclear := false; ; unclear = true {
		res, err = c.send(ctx, w)
		sent++
		var e *Error
		if unclear && errors.As(err, &e) {
			e.definite = false // an earlier attempt may have left something behind
		}
		if err == nil || Definite(err) || sent >= attempts || unclear && isFinal(err) || wait(ctx, pause) != nil {
			return res, sent, err
		}
		pause *= 2
	}
}

// prepare reads a key and makes the put that is to follow.
func (c *Client) prepare(ctx context.Context, key store.Key, change func([]store.Sibling) ([]byte, error)) (request, error) {
	read, err := c.Get(ctx, key, store.ReadOptions{})
	if err != nil {
		return request{}, err
	}
	value, err := change(Live(read.Siblings))
	if err != nil {
		return request{}, &Error{Op: "update", Key: key, Err: &changeError{err}, definite: true}
	}
	return c.name("put", request{Key: key, Value: value, Context: read.Context})
}

// Live returns the siblings that are not tombstones.
func Live(siblings []store.Sibling) (out []store.Sibling) {
	for _, s := range siblings {
		if !s.Tombstone {
			out = append(out, s)
		}
	}
	return out
}

// A changeError is an error of the application's own function.
type changeError struct{ err error }

func (e *changeError) Error() string { return fmt.Sprintf("change: %v", e.err) }
func (e *changeError) Unwrap() error { return e.err }

// isFinal reports whether trying again cannot help.
func isFinal(err error) bool {
	var own *changeError
	return errors.As(err, &own) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) ||
		errors.Is(err, store.ErrBadContext) || errors.Is(err, store.ErrClosed)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
