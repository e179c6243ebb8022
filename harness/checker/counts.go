package checker

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// sums are what a counter's sessions have added up, each its own.
type sums struct {
	Up   map[string]int `json:"up"`
	Down map[string]int `json:"down"`
}

// sumsOf reads the value of a counter.
func sumsOf(value string) (s sums, ok bool) {
	ok = strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), &s) == nil
	return s, ok
}

// merged takes the greater sum of each session. It changes neither.
func (s sums) merged(o sums) sums {
	return sums{greater(s.Up, o.Up), greater(s.Down, o.Down)}
}

func greater(a, b map[string]int) map[string]int {
	out := make(map[string]int, max(len(a), len(b)))
	for _, m := range []map[string]int{a, b} {
		for who, n := range m {
			out[who] = max(out[who], n)
		}
	}
	return out
}

// within reports whether o has counted all that s has.
func (s sums) within(o sums) bool {
	for who, n := range s.Up {
		if o.Up[who] < n {
			return false
		}
	}
	for who, n := range s.Down {
		if o.Down[who] < n {
			return false
		}
	}
	return true
}

func (s sums) total() int {
	n := 0
	for _, up := range s.Up {
		n += up
	}
	for _, down := range s.Down {
		n -= down
	}
	return n
}

// countedBy is how much a write adds to a counter.
func countedBy(action, element string) (by int, ok bool) {
	by, err := strconv.Atoi(element)
	switch {
	case err != nil:
		return 0, false
	case action == Increment:
		return by, true
	case action == Decrement:
		return -by, true
	}
	return 0, false
}

// An increment adds something to a counter, perhaps less than nothing.
type increment struct {
	by          int
	call, acked time.Duration // acked is forever without an acknowledgement
	failed      bool          // it certainly did nothing
}

// A tab adds up increments by the time of their calls and of their acknowledgements.
type tab struct{ called, acked running }

// running are sums up to an instant: positive and negative ones apart.
type running struct {
	at       []time.Duration
	up, down []int // down counts positively
}

func newTab(all []increment) tab {
	return tab{
		called: newRunning(all, func(i increment) (time.Duration, bool) { return i.call, !i.failed }),
		acked:  newRunning(all, func(i increment) (time.Duration, bool) { return i.acked, i.acked < forever }),
	}
}

func newRunning(all []increment, when func(increment) (time.Duration, bool)) running {
	var some []increment
	for _, i := range all {
		if at, ok := when(i); ok {
			i.call = at
			some = append(some, i)
		}
	}
	sort.SliceStable(some, func(i, j int) bool { return some[i].call < some[j].call })
	r := running{up: []int{0}, down: []int{0}}
	for n, i := range some {
		r.at = append(r.at, i.call)
		r.up, r.down = append(r.up, r.up[n]+max(i.by, 0)), append(r.down, r.down[n]+max(-i.by, 0))
	}
	return r
}

// before adds up what was strictly before an instant, or at it as well.
func (r running) before(at time.Duration, too bool) (up, down int) {
	n := sort.Search(len(r.at), func(i int) bool { return r.at[i] > at || !too && r.at[i] == at })
	return r.up[n], r.down[n]
}

// bounds are what a counter may show to a read: low to high if the read counts all that
// was acknowledged before its call, least to most if it may miss any of it.
type bounds struct {
	least, low, high, most int
	acked                  int // sum of what was acknowledged
}

func (t tab) bounds(call, ret time.Duration) bounds {
	up, down := t.acked.before(call, false)
	allUp, allDown := t.called.before(ret, true)
	return bounds{least: -allDown, low: up - allDown, high: allUp - down, most: allUp, acked: up - down}
}

func (b bounds) String() string {
	s := fmt.Sprintf("what had been acknowledged before adds up to %d", b.acked)
	if b.low == b.high {
		return s + ", and nothing else was under way"
	}
	return s + fmt.Sprintf(", and with what was under way or of unknown outcome it may have been %d to %d", b.low, b.high)
}
