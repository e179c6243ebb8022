package schedule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
)

// A Maker makes one named sort of fault.
type Maker struct {
	Kind  string
	Name  string
	Nodes int // that it needs at least
	// Make decides whom it strikes and how: all of a fault but its id, kind, name and times.
	// It is a function of its arguments.
	Make func(r *rand.Rand, nodes []harness.NodeID) harness.Fault
	// Asked sorts take part only where somebody asks for them by name. Draw does not care.
	Asked bool
}

// Timing is the rhythm of a schedule: a quiet head, then faults with gaps between
// them, then a quiet tail. A zero field has its default.
type Timing struct {
	Head     time.Duration // before the first fault; default 2s
	Tail     time.Duration // after the last heal; default 3s
	FaultMin time.Duration // a fault lasts at least this; default 3s
	FaultMax time.Duration // and less than this; default 6s
	GapMin   time.Duration // between a heal and the next fault at least; default 2s
	GapMax   time.Duration // and less than this; default 4s
	Gaps     string        // how gaps are drawn, of the Gaps constants; default GapsUniform
}

// How gaps are drawn.
const (
	GapsUniform     = "uniform"     // all from GapMin to GapMax alike
	GapsFixed       = "fixed"       // each is GapMin
	GapsExponential = "exponential" // GapMin at least, and beyond that as between events of a Poisson process, to GapMax on average
)

// Gaps lists the ways to draw gaps.
func Gaps() []string { return []string{GapsUniform, GapsFixed, GapsExponential} }

// gap draws the time to the next fault.
func (t Timing) gap(r *rand.Rand) time.Duration {
	switch t.Gaps {
	case GapsFixed:
		return t.GapMin
	case GapsExponential:
		return t.GapMin + time.Duration(r.ExpFloat64()*float64(t.GapMax-t.GapMin))
	}
	return between(r, t.GapMin, t.GapMax)
}

func (t Timing) withDefaults() Timing {
	t.Head = cmp.Or(t.Head, 2*time.Second)
	t.Tail = cmp.Or(t.Tail, 3*time.Second)
	t.FaultMin = cmp.Or(t.FaultMin, 3*time.Second)
	t.FaultMax = cmp.Or(t.FaultMax, 6*time.Second)
	t.GapMin = cmp.Or(t.GapMin, 2*time.Second)
	t.GapMax = cmp.Or(t.GapMax, 4*time.Second)
	return t
}

// scaled fits a rhythm with at least one fault into a short span.
func (t Timing) scaled(span time.Duration) Timing {
	if whole := t.Head + t.FaultMax + t.Tail; span < whole {
		f := float64(span) / float64(whole)
		for _, d := range []*time.Duration{&t.Head, &t.Tail, &t.FaultMin, &t.FaultMax, &t.GapMin, &t.GapMax} {
			*d = time.Duration(f * float64(*d))
		}
	}
	return t
}

// Draw lays out faults for a load of the given length, one after the other. Makers
// take turns in a shuffled order, so that each strikes before any strikes again; those
// that need more nodes than there are do not take part. A span too short for one fault
// squeezes the rhythm.
func Draw(r *rand.Rand, nodes []harness.NodeID, span time.Duration, t Timing, makers []Maker) []harness.Fault {
	able := slices.DeleteFunc(slices.Clone(makers), func(m Maker) bool { return m.Nodes > len(nodes) })
	if len(able) == 0 || span <= 0 {
		return nil
	}
	t = t.withDefaults().scaled(span)
	var faults []harness.Fault
	end := span - t.Tail
	for at := t.Head; ; {
		turn := len(faults) % len(able)
		if turn == 0 {
			r.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
		}
		stop := at + between(r, t.FaultMin, t.FaultMax)
		if stop > end {
			if stop = end; stop < at+t.FaultMin { // a last one may be shorter, not stunted
				return faults
			}
		}
		m := able[turn]
		f := m.Make(r, nodes)
		f.ID, f.Kind, f.Name = fmt.Sprintf("f%d", len(faults)+1), m.Kind, m.Name
		f.Start, f.Stop = at, stop
		faults = append(faults, f)
		at = stop + t.gap(r)
	}
}

// Merge puts schedules together, in order of time and with new ids.
func Merge(schedules ...[]harness.Fault) []harness.Fault {
	all := slices.Concat(schedules...)
	slices.SortStableFunc(all, func(a, b harness.Fault) int { return cmp.Compare(a.Start, b.Start) })
	for i := range all {
		all[i].ID = fmt.Sprintf("f%d", i+1)
	}
	return all
}

// between draws from [low, high), to the nanosecond.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(r.Int64N(int64(high-low)))
}
