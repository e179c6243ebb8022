package cartwheel

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"cartwheel/harness"
	"cartwheel/store"
)

// readOptions translates a read's knobs. An unknown repair mode is refused, since a run
// with another one than it claims would prove nothing.
func readOptions(o harness.ReadOptions) (store.ReadOptions, error) {
	repair, err := store.ParseRepair(o.Repair)
	if err != nil {
		return store.ReadOptions{}, refused{fmt.Errorf("repair mode: %w", err)}
	}
	absent, err := store.ParseNotFound(o.NotFound)
	if err != nil {
		return store.ReadOptions{}, refused{fmt.Errorf("not-found mode: %w", err)}
	}
	var floor store.Context
	if o.Floor != "" {
		floor = store.Context(o.Floor)
	}
	return store.ReadOptions{
		N: o.N, R: o.R, PR: o.PR, NodeConfirms: o.NodeConfirms,
		Mode: mode(o.Strict), Repair: repair, NotFound: absent, Floor: floor,
	}, nil
}

// writeOptions translates a write's knobs. An unknown durability is refused, as above.
func writeOptions(o harness.WriteOptions) (store.WriteOptions, error) {
	durability, err := store.ParseDurability(o.Durability)
	if err != nil {
		return store.WriteOptions{}, refused{fmt.Errorf("durability: %w", err)}
	}
	return store.WriteOptions{N: o.N, W: o.W, PW: o.PW, DW: o.DW, NodeConfirms: o.NodeConfirms, Mode: mode(o.Strict), Durability: durability}, nil
}

func mode(strict bool) store.Mode {
	if strict {
		return store.Strict
	}
	return store.Sloppy
}

// refused is an error of the adapter itself: nothing was sent.
type refused struct{ error }

func (refused) Definite() bool  { return true }
func (r refused) Unwrap() error { return r.error }

// reading translates a result.
func reading(siblings []store.Sibling, c store.Context, m store.Meta) harness.Reading {
	return harness.Reading{Siblings: versions(siblings), Token: c, Meta: meta(m)}
}

func versions(siblings []store.Sibling) []harness.Sibling {
	var out []harness.Sibling
	for _, s := range siblings {
		out = append(out, harness.Sibling{Value: string(s.Value), Tombstone: s.Tombstone, Write: name(s.WriteID)})
	}
	return out
}

// name names a write; empty if it has no name.
func name(id store.WriteID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// meta translates how a request was served; nil if the store said nothing of it.
func meta(m store.Meta) *harness.Meta {
	if m.Coordinator == "" && len(m.Replies) == 0 {
		return nil
	}
	out := &harness.Meta{
		Coordinator: machine(m.Coordinator), Forwarded: m.Forwarded,
		Hinted: m.Hinted, Degraded: m.Degraded, Repairs: m.Repairs, Rounds: m.Rounds,
	}
	for _, r := range m.Replies {
		out.Replies = append(out.Replies, harness.Reply{
			Node: machine(r.Node), For: machine(r.For), State: r.State.String(), RTT: r.RTT,
		})
	}
	return out
}

// digest names a replica's state: equal bytes, equal names. A key that the replica has
// never heard of has the name "none", so that it differs from every copy.
func digest(state []byte) string {
	if len(state) == 0 {
		return "none"
	}
	sum := sha256.Sum256(state)
	return hex.EncodeToString(sum[:16])
}
