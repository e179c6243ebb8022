package admission

import (
	"math"
	"math/bits"
	"time"
)

const (
	// bucketsPerOctave bounds the error of a quantile: it is at most an eighth too high.
	bucketsPerOctave = 8
	// octaves are those above a microsecond that are told apart: up to 67 seconds.
	octaves = 26
)

// A step is the latencies that were seen in a part of the window.
type step struct {
	count   int
	buckets [octaves * bucketsPerOctave]uint32
}

// A window counts latencies in steps of equal length and forgets the oldest step when a new one begins.
type window struct {
	steps []step
	at    int // the step that counts now
}

// bucketOf returns the bucket of a latency. Bounds rise by an eighth of their octave.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	octave := bits.Len64(us) - 1
	part := int((us<<3)>>octave) - bucketsPerOctave // 0 to 7: the three bits behind the first
	return min(octave*bucketsPerOctave+part, octaves*bucketsPerOctave-1)
}

// boundOf returns the latency that all of a bucket are below.
func boundOf(bucket int) time.Duration {
	octave, part := bucket/bucketsPerOctave, bucket%bucketsPerOctave
	return time.Duration(math.Ldexp(1+float64(part+1)/bucketsPerOctave, octave) * float64(time.Microsecond))
}

func (w *window) add(d time.Duration) {
	s := &w.steps[w.at]
	s.count++
	s.buckets[bucketOf(d)]++
}

// next begins a step in the place of the oldest.
func (w *window) next() {
	w.at = (w.at + 1) % len(w.steps)
	w.steps[w.at] = step{}
}

// forget drops all that was counted.
func (w *window) forget() { clear(w.steps) }

// quantile returns a latency that the fraction q of all counted did not reach, and how many there are; 0 if none.
func (w *window) quantile(q float64) (bound time.Duration, count int) {
	for i := range w.steps {
		count += w.steps[i].count
	}
	if count == 0 {
		return 0, 0
	}
	left := int(math.Ceil(q * float64(count)))
	for b := range octaves * bucketsPerOctave {
		for i := range w.steps {
			left -= int(w.steps[i].buckets[b])
		}
		if left <= 0 {
			return boundOf(b), count
		}
	}
	return boundOf(octaves*bucketsPerOctave - 1), count
}
