package coordinator

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"cartwheel/store"
	"cartwheel/store/quorum"
)

// defaults are what a request gets that does not say: its bucket's, or else the node's.
type defaults struct {
	bucket store.Bucket
	n      int // replicas that the cluster keeps
	r, w   int // the node's

	durability   store.Durability // the node's
	objectBuffer bool             // DurabilityNone is allowed
}

func (d defaults) mode(m store.Mode) store.Mode {
	return cmp.Or(m, d.bucket.Mode, store.Sloppy)
}

// replicas is the most that a request's N may be.
func (d defaults) replicas() int { return cmp.Or(d.bucket.N, d.n) }

// read returns the options with defaults filled in, or all that is wrong with them.
func (d defaults) read(o store.ReadOptions) (store.ReadOptions, error) {
	o.N = cmp.Or(o.N, d.replicas())
	o.R = cmp.Or(o.R, d.bucket.R, min(d.r, o.N))
	o.PR = cmp.Or(o.PR, d.bucket.PR)
	o.NodeConfirms = cmp.Or(o.NodeConfirms, d.bucket.NodeConfirms)
	o.Mode = d.mode(o.Mode)
	o.Repair = cmp.Or(o.Repair, d.bucket.Repair, store.RepairAsync)
	o.NotFound = cmp.Or(o.NotFound, d.bucket.NotFound, store.NotFoundCounts)
	var errs []error
	if o.Mode > store.Strict || o.Repair > store.RepairNone || o.NotFound > store.NotFoundBasicQuorum {
		errs = append(errs, fmt.Errorf("mode %d, repair %d, not found %d: %w", o.Mode, o.Repair, o.NotFound, store.ErrInvalid))
	}
	return o, errors.Join(append(errs,
		between("n", o.N, 1, d.replicas()), between("r", o.R, 1, o.N), between("pr", o.PR, 0, o.N),
		between("node confirms", o.NodeConfirms, 0, o.N), notNegative(o.Timeout))...)
}

// write does the same for a put or delete.
func (d defaults) write(o store.WriteOptions) (store.WriteOptions, error) {
	o.N = cmp.Or(o.N, d.replicas())
	o.W = cmp.Or(o.W, d.bucket.W, min(d.w, o.N))
	o.PW = cmp.Or(o.PW, d.bucket.PW)
	o.DW = cmp.Or(o.DW, d.bucket.DW)
	o.NodeConfirms = cmp.Or(o.NodeConfirms, d.bucket.NodeConfirms)
	o.Mode = d.mode(o.Mode)
	o.Durability = cmp.Or(o.Durability, d.bucket.Durability, d.durability, store.DurabilityAll)
	var errs []error
	if o.Mode > store.Strict || o.Durability > store.DurabilityNone {
		errs = append(errs, fmt.Errorf("mode %d, durability %d: %w", o.Mode, o.Durability, store.ErrInvalid))
	}
	if o.Durability == store.DurabilityNone && !d.objectBuffer {
		errs = append(errs, fmt.Errorf("durability none is an experiment, for nodes with an object buffer: %w", store.ErrInvalid))
	}
	// What is counted by DW has to be on disk.
	switch {
	case o.DW > 1:
		o.Durability = store.DurabilityAll
	case o.DW == 1 && o.Durability == store.DurabilityNone:
		o.Durability = store.DurabilityOne
	}
	return o, errors.Join(append(errs,
		between("n", o.N, 1, d.replicas()), between("w", o.W, 1, o.N), between("pw", o.PW, 0, o.N), between("dw", o.DW, 0, o.N),
		between("node confirms", o.NodeConfirms, 0, o.N), notNegative(o.Timeout))...)
}

func between(name string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %d, want %d to %d: %w", name, value, least, most, store.ErrInvalid)
	}
	return nil
}

func notNegative(timeout time.Duration) error {
	if timeout < 0 {
		return fmt.Errorf("timeout is %v: %w", timeout, store.ErrInvalid)
	}
	return nil
}

// writeConditions are what a write waits for. Where DW is above 1 every acknowledgement is
// from disk, and a DW of 1 is met by the coordinator, which writes first: so DW asks for nothing
// that W does not, save its number.
func writeConditions(o store.WriteOptions) quorum.Conditions {
	return quorum.Conditions{Acks: max(o.W, o.DW), Owners: o.PW, Nodes: o.NodeConfirms}
}

// readConditions are what a read waits for.
func readConditions(o store.ReadOptions) quorum.Conditions {
	c := quorum.Conditions{Acks: o.R, Owners: o.PR, Nodes: o.NodeConfirms}
	if o.NotFound == store.NotFoundBasicQuorum {
		c.AbsentEnough = o.N/2 + 1
	}
	return c
}

// unmet returns the first condition that even answers of all nodes that are up could not
// meet, in the words of a store.QuorumError; need is 0 if there is none.
func unmet(c quorum.Conditions, p placement, mode store.Mode, up func(store.NodeID) bool) (counted string, have, need int) {
	all := countUp(p.list, up)
	for _, version := range p.owning {
		owners := countUp(version, up)
		if mode == store.Strict {
			all = owners
		}
		switch {
		case all < c.Acks:
			return "replicas", all, c.Acks
		case owners < c.Owners:
			return "owners", owners, c.Owners
		case all < c.Nodes:
			return "nodes", all, c.Nodes
		}
	}
	return "", 0, 0
}
