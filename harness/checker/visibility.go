package checker

import (
	"fmt"
	"math/bits"
	"time"
)

// A visibility is a curve: of gets that began so long after the newest acknowledgement,
// how many saw that write, and how many should have by a prediction. Steps double from one
// millisecond on.
type visibility struct {
	steps     [visibilitySteps]visibilityStep
	predicted *pbs // nil: by none
}

type visibilityStep struct {
	seen, all int
	predicted float64 // sum of chances
}

const visibilitySteps = 20 // up to nine minutes

func (v *visibility) add(after time.Duration, seen bool) {
	p := &v.steps[min(bits.Len64(uint64(after/time.Millisecond)), visibilitySteps-1)]
	p.all++
	if seen {
		p.seen++
	}
	if v.predicted != nil {
		p.predicted += v.predicted.after(after)
	}
}

// into names the points of the curve by the end of their step, for example
// "visible_within/4ms", and tells how many gets each stands on. A prediction is told
// for the same gets, with the quorums and copies that it was made for.
func (v *visibility) into(figures map[string]float64) {
	for step, p := range v.steps {
		if p.all == 0 {
			continue
		}
		name := fmt.Sprintf("%dms", 1<<step)
		figures["visible_within/"+name] = float64(p.seen) / float64(p.all)
		figures["visible_within_reads/"+name] = float64(p.all)
		if v.predicted != nil {
			figures["visible_predicted/"+name] = p.predicted / float64(p.all)
		}
	}
	if p := v.predicted; p != nil {
		figures["predicted_n"], figures["predicted_r"], figures["predicted_w"] = float64(p.n), float64(p.r), float64(p.w)
	}
}
