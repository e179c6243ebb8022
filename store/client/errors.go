package client

import (
	"errors"
	"fmt"
	"strings"

	"cartwheel/store"
)

// An Error is what went wrong with one call. errors.Is finds the sentinels of package
// store in it, and errors.As the *store.QuorumError of a request that too few replicas
// answered.
type Error struct {
	Op  string // "get", "put", "delete" or what an Admin was asked for
	Key store.Key
	Err error
	// WriteID names the put or delete, should it come to light among siblings after all.
	WriteID store.WriteID

	// Request is the id of the call, under which the logs of all nodes that took part know it; empty: it was never sent.
	Request string

	definite bool
}

// Error says what was done, to which key, and what came of it.
func (e *Error) Error() string {
	if e.Key == "" {
		// A node has often said itself what it was asked for.
		return fmt.Sprintf("%s: %s", e.Op, strings.TrimPrefix(e.Err.Error(), e.Op+": "))
	}
	return fmt.Sprintf("%s %q: %v", e.Op, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Definite reports whether it is proven that the call has had no effect and will have
// none. It is true of all reads.
func (e *Error) Definite() bool { return e.definite }

// Definite reports whether an error proves that a write was not made, by any replica.
func Definite(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.definite
}

// Outcome says what a caller may believe about a write that ended with err, which may be nil.
func Outcome(err error) store.Outcome {
	switch {
	case err == nil:
		return store.OutcomeOK
	case Definite(err):
		return store.OutcomeNotWritten
	}
	return store.OutcomeUnknown
}
