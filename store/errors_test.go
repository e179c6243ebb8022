package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// What is taken for an error of one key is passed over, so an error of a node among them
// would flood that node, and one of a key that is missing would hold up all others.
func TestErrorsOfOneKeyAreToldFromThoseOfANode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{ErrCorrupt, true},
		{ErrInvalid, true},
		{ErrNotOwner, true},
		{fmt.Errorf("deliver: %w", ErrCorrupt), true},
		{ErrDown, false},
		{ErrClosed, false},
		{ErrOverloaded, false},
		{context.DeadlineExceeded, false},
		{errors.New("disk stopped"), false},
	} {
		if got := OfOneKey(c.err); got != c.want {
			t.Errorf("%v: got %t, want %t", c.err, got, c.want)
		}
	}
}

// A missed quorum decides alone: whatever refusals are joined to it, a write that was
// handed to somebody may live.
func TestOnlyProofMakesAnErrorDefinite(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{name: "refused", err: fmt.Errorf("put: %w", ErrOverloaded), want: true},
		{name: "refused by a disk that has failed", err: fmt.Errorf("put: %w", ErrReadOnly), want: true},
		{name: "handed to nobody", err: &QuorumError{Need: 2}, want: true},
		{name: "handed to nobody in time", err: fmt.Errorf("%w: %w", &QuorumError{Need: 2}, context.DeadlineExceeded), want: true},
		{name: "handed to one", err: &QuorumError{Need: 2, Sent: 1}},
		{name: "handed to one, another refused", err: fmt.Errorf("%w: %w", &QuorumError{Need: 2, Sent: 1}, ErrDown)},
		{name: "deadline", err: context.DeadlineExceeded},
		{name: "damaged", err: ErrCorrupt},
		{name: "anything else", err: errors.New("boom")},
	} {
		if got := Definite(c.err); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
