package checker

import (
	"fmt"
	"math/bits"
	"time"
)

// A visibility is a curve: of gets that began so long after the newest acknowledgement,
// how many saw that write. Steps double from one millisecond on.
type visibility [visibilitySteps]struct{ seen, all int }

const visibilitySteps = 20 // up to nine minutes

func (v *visibility) add(after time.Duration, seen bool) {
	step := min(bits.Len64(uint64(after/time.Millisecond)), visibilitySteps-1)
	v[step].all++
	if seen {
		v[step].seen++
	}
}

// into names the points of the curve by the end of their step, for example
// "visible_within/4ms", and tells how many gets each stands on.
func (v *visibility) into(figures map[string]float64) {
	for step, p := range v {
		if p.all > 0 {
			name := fmt.Sprintf("%dms", 1<<step)
			figures["visible_within/"+name] = float64(p.seen) / float64(p.all)
			figures["visible_within_reads/"+name] = float64(p.all)
		}
	}
}
