package harness

import (
	"errors"
	"fmt"
	"time"
)

// What can be done to packets: names of a [Shape]'s fields.
const (
	ShapeDelay     = "delay"
	ShapeJitter    = "jitter"
	ShapeLoss      = "loss"
	ShapeDuplicate = "duplicate"
	ShapeReorder   = "reorder"
	ShapeCorrupt   = "corrupt"
	ShapeRate      = "rate"
)

// A Shape is how a bad link treats packets. The zero Shape leaves them alone. Chances are
// from 0 to 1, for each packet by itself.
type Shape struct {
	Delay     time.Duration `json:"delay,omitempty"`     // added to each packet's way
	Jitter    time.Duration `json:"jitter,omitempty"`    // up to this much more, different for each packet
	Loss      float64       `json:"loss,omitempty"`      // chance that a packet is lost
	Duplicate float64       `json:"duplicate,omitempty"` // chance that a packet arrives twice
	Reorder   float64       `json:"reorder,omitempty"`   // chance that a packet is overtaken by those behind it
	Corrupt   float64       `json:"corrupt,omitempty"`   // chance that a packet arrives with a flipped bit
	Rate      int64         `json:"rate,omitempty"`      // bytes a second at most; 0: no limit
}

// With is a link under two shapings at once: times add up, chances are independent of
// each other, the lower rate counts.
func (s Shape) With(o Shape) Shape {
	either := func(a, b float64) float64 { return a + b - a*b }
	sum := Shape{
		Delay:     s.Delay + o.Delay,
		Jitter:    s.Jitter + o.Jitter,
		Loss:      either(s.Loss, o.Loss),
		Duplicate: either(s.Duplicate, o.Duplicate),
		Reorder:   either(s.Reorder, o.Reorder),
		Corrupt:   either(s.Corrupt, o.Corrupt),
		Rate:      max(s.Rate, o.Rate),
	}
	if s.Rate > 0 && o.Rate > 0 {
		sum.Rate = min(s.Rate, o.Rate)
	}
	return sum
}

// Does lists what the shape does to packets, of the Shape constants.
func (s Shape) Does() []string {
	return doing{
		{ShapeDelay, s.Delay != 0},
		{ShapeJitter, s.Jitter != 0},
		{ShapeLoss, s.Loss != 0},
		{ShapeDuplicate, s.Duplicate != 0},
		{ShapeReorder, s.Reorder != 0},
		{ShapeCorrupt, s.Corrupt != 0},
		{ShapeRate, s.Rate != 0},
	}.names()
}

// Valid says all that is wrong with the shape; one that does nothing is.
func (s Shape) Valid() error {
	errs := []error{
		positive(ShapeDelay, s.Delay), positive(ShapeJitter, s.Jitter),
		chance(ShapeLoss, s.Loss), chance(ShapeDuplicate, s.Duplicate),
		chance(ShapeReorder, s.Reorder), chance(ShapeCorrupt, s.Corrupt),
	}
	if s.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate %d: must not be negative", s.Rate))
	}
	if s == (Shape{}) {
		errs = append(errs, errors.New("a shape that does nothing"))
	}
	return errors.Join(errs...)
}

// A Skew is how a clock is wrong. The zero Skew is a clock that is right.
type Skew struct {
	Offset time.Duration `json:"offset,omitempty"` // ahead by this much, or behind if negative
	Drift  float64       `json:"drift,omitempty"`  // seconds that it gains each second, from then on; -1: it stands still
	// Strobe makes the clock jump: it is wrong for so long, then right for so long, and so
	// on. 0: it is wrong all the time.
	Strobe time.Duration `json:"strobe,omitempty"`
}

// At is by how much the clock is ahead when it has been wrong for so long.
func (s Skew) At(since time.Duration) time.Duration {
	if s.Strobe > 0 && since/s.Strobe%2 == 1 {
		return 0
	}
	return s.Offset + time.Duration(s.Drift*float64(since))
}

// Valid says all that is wrong with the skew; one that changes nothing is. A clock that
// runs backwards by itself is none: jump back instead.
func (s Skew) Valid() error {
	errs := []error{positive("strobe", s.Strobe)}
	if !(s.Drift >= -1 && s.Drift <= 1000) {
		errs = append(errs, fmt.Errorf("drift %v: must be from -1 to 1000", s.Drift))
	}
	if s.Offset == 0 && s.Drift == 0 {
		errs = append(errs, errors.New("a skew that changes nothing"))
	}
	return errors.Join(errs...)
}

// What can be done to a disk: names of a [DiskFault]'s fields.
const (
	DiskSlow        = "slow"
	DiskReadErrors  = "read-errors"
	DiskWriteErrors = "write-errors"
	DiskFull        = "full"
	DiskReadOnly    = "read-only"
	DiskBitFlips    = "bit-flips"
	DiskRotten      = "rotten"
	DiskTruncated   = "truncated"
	DiskBadHints    = "bad-hints"
	DiskBadRecords  = "bad-records"
)

// A DiskFault is how a bad disk treats a node. The zero DiskFault is a good disk. Chances
// are from 0 to 1, for each operation by itself.
type DiskFault struct {
	Slow        time.Duration `json:"slow,omitempty"`         // added to each operation
	ReadErrors  float64       `json:"read_errors,omitempty"`  // chance that a read fails (EIO)
	WriteErrors float64       `json:"write_errors,omitempty"` // chance that a write fails (EIO); it may have taken effect
	Full        bool          `json:"full,omitempty"`         // nothing more can be written (ENOSPC)
	ReadOnly    bool          `json:"read_only,omitempty"`    // nothing can be written (EROFS)
	BitFlips    float64       `json:"bit_flips,omitempty"`    // chance that what is read has one bit that is wrong

	BadHints   float64 `json:"bad_hints,omitempty"`   // chance that a hint is written with one bit that is wrong, for good
	BadRecords float64 `json:"bad_records,omitempty"` // the same of a record

	// Damage to one table or log of a node that is stopped, done once.
	Rotten    float64 `json:"rotten,omitempty"`    // a bit is flipped this far into the file, as a fraction of its length; at most 1, in its last byte
	Truncated float64 `json:"truncated,omitempty"` // this fraction of the file is missing from its end; at most 1, all of it
	File      float64 `json:"file,omitempty"`      // which file, in the order of their names: from 0, the first, to 1, the last
}

// Does lists what the fault does, of the Disk constants.
func (f DiskFault) Does() []string {
	return doing{
		{DiskSlow, f.Slow != 0},
		{DiskReadErrors, f.ReadErrors != 0},
		{DiskWriteErrors, f.WriteErrors != 0},
		{DiskFull, f.Full},
		{DiskReadOnly, f.ReadOnly},
		{DiskBitFlips, f.BitFlips != 0},
		{DiskRotten, f.Rotten != 0},
		{DiskTruncated, f.Truncated != 0},
		{DiskBadHints, f.BadHints != 0},
		{DiskBadRecords, f.BadRecords != 0},
	}.names()
}

// AtRest reports whether the fault is damage to files of a stopped node.
func (f DiskFault) AtRest() bool { return f.Rotten != 0 || f.Truncated != 0 }

// Damages reports whether the fault makes bytes other than those that were written.
func (f DiskFault) Damages() bool {
	return f.BitFlips != 0 || f.BadHints != 0 || f.BadRecords != 0 || f.AtRest()
}

// Fails reports whether operations fail, rather than merely take long.
func (f DiskFault) Fails() bool { return f != DiskFault{Slow: f.Slow} }

// Valid says all that is wrong with the fault; one that does nothing is.
func (f DiskFault) Valid() error {
	errs := []error{
		positive(DiskSlow, f.Slow), chance(DiskReadErrors, f.ReadErrors), chance(DiskWriteErrors, f.WriteErrors),
		chance(DiskBitFlips, f.BitFlips), chance(DiskBadHints, f.BadHints), chance(DiskBadRecords, f.BadRecords), chance(DiskRotten, f.Rotten), chance(DiskTruncated, f.Truncated), chance("file", f.File),
	}
	if len(f.Does()) == 0 {
		errs = append(errs, errors.New("a disk fault that does nothing"))
	}
	if f.AtRest() && len(f.Does()) > 1 {
		errs = append(errs, fmt.Errorf("%v at once: damage to files is a fault of its own", f.Does()))
	}
	return errors.Join(errs...)
}

// doing names what is so.
type doing []struct {
	name string
	so   bool
}

func (d doing) names() (names []string) {
	for _, x := range d {
		if x.so {
			names = append(names, x.name)
		}
	}
	return names
}

func chance(name string, p float64) error {
	if p >= 0 && p <= 1 { // no NaN is
		return nil
	}
	return fmt.Errorf("%s %v: a chance is from 0 to 1", name, p)
}

func positive(name string, d time.Duration) error {
	if d >= 0 {
		return nil
	}
	return fmt.Errorf("%s %v: must not be negative", name, d)
}
