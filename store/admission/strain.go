package admission

import "time"

// A foreground that was late for strainTicks, with strainOps operations of which each was late, has made the controller take
// slices away at least once, if these are a fiftieth of what its window has seen. A few may have been given back since.
const (
	strainTicks = 8
	strainOps   = 2 * samplesMin
	strainShare = ShareMax/2 + strainTicks*gain // slices a second that may be granted then, at most
)

// A strain counts slices that were granted beside a foreground that was late. It knows nothing of the controller, so that one that
// does not take slices away is seen by what goes through.
type strain struct {
	target  time.Duration
	ticks   [windowLong + strainTicks]struct{ seen, late int } // the newest last, which is the one that counts now
	next    time.Duration                                      // when the next tick begins
	paid    time.Duration                                      // moment up to which what was granted is paid for at strainShare
	beyond  float64
	granted float64 // while there was strain
}

// observe is told how long a foreground operation took that has just ended.
func (s *strain) observe(now, latency time.Duration) {
	s.advance(now)
	t := &s.ticks[len(s.ticks)-1]
	t.seen++
	if latency > s.target {
		t.late++
	}
}

// grant is told of slices as they are granted.
func (s *strain) grant(now time.Duration, slices float64) {
	if s.advance(now); !s.strained() {
		s.paid = now
		return
	}
	s.granted += slices
	if now < s.paid {
		s.beyond += slices
	}
	s.paid = max(s.paid, now) + time.Duration(slices/strainShare*float64(time.Second))
}

// strained reports whether the last ticks, the present one left out, were all late, and are not lost in those before.
func (s *strain) strained() bool {
	all, late := 0, 0
	past := s.ticks[:len(s.ticks)-1]
	for i, t := range past {
		all += t.seen
		if i < len(past)-strainTicks {
			continue
		}
		if t.late < t.seen {
			return false
		}
		late += t.late
	}
	return late >= strainOps && 50*late >= all
}

func (s *strain) advance(now time.Duration) {
	if late := now - s.next; late > time.Duration(len(s.ticks))*tick {
		s.next += late / tick * tick
		clear(s.ticks[:])
	}
	for ; s.next <= now; s.next += tick {
		copy(s.ticks[:], s.ticks[1:])
		s.ticks[len(s.ticks)-1].seen, s.ticks[len(s.ticks)-1].late = 0, 0
	}
}
