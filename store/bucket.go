package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Bucket gives defaults to the requests of a part of the key space: the keys that begin
// with its name and a slash. All nodes of a cluster must be given the same buckets.
type Bucket struct {
	Name         string // without a slash; empty: keys of no other bucket
	N            int    // owners that requests are about; 0: the cluster's N, which is also the most
	R, W         int    // 0: the node's default, or N if that is less
	PR, PW, DW   int    // 0: none demanded
	NodeConfirms int    // 0: none demanded
	Mode         Mode
	Repair       RepairMode
	NotFound     NotFoundMode
	Durability   Durability
	// LastWriteWins shows readers one version, the one with the latest stamp, and lets every
	// write supersede all that its coordinator holds. Concurrent writes are lost without a
	// trace: it is for caches, and for showing what it does to a cart.
	LastWriteWins bool
}

// BucketName returns the name of the bucket that the key belongs to.
func (k Key) BucketName() string {
	name, _, found := strings.Cut(string(k), "/")
	if !found {
		return ""
	}
	return name
}

// Buckets are the buckets of a cluster.
type Buckets []Bucket

// Of returns the bucket of a key. A key whose bucket was not declared has the defaults of
// the bucket without a name.
func (bs Buckets) Of(k Key) Bucket {
	var unnamed Bucket
	name := k.BucketName()
	for _, b := range bs {
		switch b.Name {
		case name:
			return b
		case "":
			unnamed = b
		}
	}
	return unnamed
}

// Validate reports all that is wrong with the buckets of a cluster that keeps n replicas.
func (bs Buckets) Validate(n int) error {
	var errs []error
	seen := map[string]bool{}
	for _, b := range bs {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("bucket %q: "+format+": %w", append(append([]any{b.Name}, args...), ErrInvalid)...))
		}
		if seen[b.Name] {
			bad("declared twice")
		}
		seen[b.Name] = true
		if strings.Contains(b.Name, "/") {
			bad("a name ends at the first slash of a key")
		}
		most := n
		if b.N != 0 {
			if b.N < 1 || b.N > n {
				bad("n is %d, the cluster keeps %d replicas", b.N, n)
			}
			most = b.N
		}
		for _, q := range []struct {
			name  string
			value int
		}{{"r", b.R}, {"w", b.W}, {"pr", b.PR}, {"pw", b.PW}, {"dw", b.DW}, {"node-confirms", b.NodeConfirms}} {
			if q.value < 0 || q.value > most {
				bad("%s is %d of %d replicas", q.name, q.value, most)
			}
		}
		if b.Mode > Strict || b.Repair > RepairNone || b.NotFound > NotFoundBasicQuorum || b.Durability > DurabilityNone {
			bad("mode %d, repair %d, not-found %d, durability %d", b.Mode, b.Repair, b.NotFound, b.Durability)
		}
	}
	return errors.Join(errs...)
}

// ParseBucket reads a bucket as it is written on a command line: its name and its
// defaults, as in "carts:r=2,w=2,pw=1,mode=strict,repair=blocking,not-found=counts" or
// "cache:n=2,last-write-wins". The empty name stands for the keys of no other bucket.
func ParseBucket(s string) (Bucket, error) {
	name, list, found := strings.Cut(s, ":")
	b := Bucket{Name: name}
	if !found || list == "" {
		return b, fmt.Errorf("bucket %q: want NAME:KNOB,KNOB..., for example carts:r=2,w=2: %w", s, ErrInvalid)
	}
	numbers := map[string]*int{"n": &b.N, "r": &b.R, "w": &b.W, "pr": &b.PR, "pw": &b.PW, "dw": &b.DW, "node-confirms": &b.NodeConfirms}
	for knob := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(knob, "=")
		var err error
		switch {
		case numbers[key] != nil:
			*numbers[key], err = strconv.Atoi(value)
		case key == "mode":
			b.Mode, err = named(value, Sloppy, Strict)
		case key == "repair":
			b.Repair, err = named(value, RepairAsync, RepairBlocking, RepairNone)
		case key == "not-found":
			b.NotFound, err = named(value, NotFoundCounts, NotFoundDoesNotCount, NotFoundBasicQuorum)
		case key == "durability":
			b.Durability, err = named(value, DurabilityAll, DurabilityOne, DurabilityNone)
		case knob == "last-write-wins":
			b.LastWriteWins = true
		default:
			err = errors.New("want n, r, w, pr, pw, dw, node-confirms, mode, repair, not-found, durability or last-write-wins")
		}
		if err != nil {
			return b, fmt.Errorf("bucket %q: %q: %w: %w", name, knob, err, ErrInvalid)
		}
	}
	return b, nil
}

// ParseRepair reads "async", "blocking" or "none"; empty is the default.
func ParseRepair(s string) (RepairMode, error) {
	return optional(s, RepairAsync, RepairBlocking, RepairNone)
}

// ParseNotFound reads "counts", "does-not-count" or "basic-quorum"; empty is the default.
func ParseNotFound(s string) (NotFoundMode, error) {
	return optional(s, NotFoundCounts, NotFoundDoesNotCount, NotFoundBasicQuorum)
}

func optional[T fmt.Stringer](s string, known ...T) (T, error) {
	if s == "" {
		var none T
		return none, nil
	}
	return named(s, known...)
}

// named finds the one of the known values that is called so.
func named[T fmt.Stringer](s string, known ...T) (T, error) {
	if i := slices.IndexFunc(known, func(t T) bool { return t.String() == s }); i >= 0 {
		return known[i], nil
	}
	var none T
	return none, fmt.Errorf("%q is none of %v: %w", s, known, ErrInvalid)
}
