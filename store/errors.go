package store

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Errors that callers test for with errors.Is. Package transport maps them to gRPC
// codes and back, so they hold on both sides of the wire.
var (
	ErrInvalid    = errors.New("invalid request")                      // key or options out of range
	ErrTooLarge   = errors.New("too large")                            // a value, or all siblings of a key together
	ErrSession    = errors.New("session not satisfied")                // see SessionError
	ErrBadContext = errors.New("bad context")                          // a token that is damaged or of another key
	ErrNotOwner   = errors.New("not an owner of the key")              // sent to a node outside the preference list
	ErrNotMember  = errors.New("not a member of the cluster")          // ask another node; of a peer: it was removed, or has not joined
	ErrWrongRing  = errors.New("layout has changed")                   // a replica refused a request that began under a layout that is over
	ErrSiblings   = errors.New("too many siblings")                    // read, merge, put with the context
	ErrDenied     = errors.New("permission denied")                    // the caller's certificate does not allow it
	ErrDraining   = errors.New("node is being drained")                // it coordinates nothing new; ask another node
	ErrProtocol   = errors.New("no common protocol version")           // of two nodes; upgrade one version at a time
	ErrOverloaded = errors.New("overloaded")                           // refused at the door; try again later
	ErrNoQuorum   = errors.New("quorum not reached")                   // see QuorumError
	ErrCorrupt    = errors.New("stored data is corrupt")               // a checksum failed; never treated as not found
	ErrReadOnly   = errors.New("disk takes no writes")                 // of this node; another may coordinate
	ErrClosed     = errors.New("closed")                               // the component was closed
	ErrDown       = errors.New("node believed down, request not sent") // refused locally; nothing left this node
)

// A QuorumError reports how far a request got before it was given up.
type QuorumError struct {
	Op      string // "get", "put" or "delete"
	Counted string // what is counted: "replicas" (R, W or DW), "owners" (PR or PW) or "nodes" (NodeConfirms); empty: replicas
	Need    int    // of them, required
	Sent    int    // replicas the request was handed to, this node and hints included
	Acks    int    // of those counted, how many answered
	Meta    Meta   // who was asked and what they said
}

// Error says how many replicas were needed, asked and heard.
func (e *QuorumError) Error() string {
	return fmt.Sprintf("%s: %d of %d %s answered, %d replicas were asked: %v", e.Op, e.Acks, e.Need, cmp.Or(e.Counted, "replicas"), e.Sent, ErrNoQuorum)
}

// Unwrap makes errors.Is(err, ErrNoQuorum) true.
func (e *QuorumError) Unwrap() error { return ErrNoQuorum }

// Outcome says what a caller may believe about a write that ended with this error.
// Zero acknowledgements prove nothing; only a write handed to nobody is NotWritten.
func (e *QuorumError) Outcome() Outcome {
	if e.Sent == 0 {
		return OutcomeNotWritten
	}
	return OutcomeUnknown
}

// A SessionError is a read that could not show all that its session has seen already, in
// the time that it had. What it could have shown is older, so it shows nothing.
type SessionError struct {
	Meta Meta // who answered; Rounds says how often replicas were asked again
}

// Error says how hard it was tried.
func (e *SessionError) Error() string {
	return fmt.Sprintf("get: no %d replicas show all that the session has seen, asked again %d times in %v: %v",
		e.Meta.Need, e.Meta.Rounds, e.Meta.Total.Round(time.Millisecond), ErrSession)
}

// Unwrap makes errors.Is(err, ErrSession) true.
func (e *SessionError) Unwrap() error { return ErrSession }

// Definite reports whether an error of a write proves that no node has stored it or will.
// Of any other error, a deadline and one that is not known here included, the write may
// still become visible. Reads change nothing, so their errors need no such question.
func Definite(err error) bool {
	var missed *QuorumError
	if errors.As(err, &missed) {
		return missed.Outcome() == OutcomeNotWritten
	}
	for _, refusal := range []error{ErrInvalid, ErrTooLarge, ErrBadContext, ErrNotOwner, ErrNotMember, ErrWrongRing, ErrSiblings, ErrDenied, ErrDraining, ErrProtocol, ErrOverloaded, ErrReadOnly, ErrClosed, ErrDown} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// OfOneKey reports whether an error says something of its key and not of a node, as when a
// record is damaged: work on other keys must not wait for that to heal.
func OfOneKey(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrNotOwner)
}
