package counter

import (
	"encoding/json"
	"fmt"
	"maps"

	"cartwheel/harness"
)

// A Value is what a counter's key holds.
type Value struct {
	ID   string `json:"id"` // unique among all puts of a run
	Sums        // of every session that the writer knew of
}

// Sums are what each session has counted up and down, by its name.
type Sums struct {
	Up   map[string]int `json:"up"`
	Down map[string]int `json:"down"`
}

// Encode renders a value as it is stored.
func (v Value) Encode() string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("counter: encode %v: %v", v, err)) // strings and numbers always marshal
	}
	return string(b)
}

// Merge takes of each session the greatest sum that a live sibling holds. A sibling that
// no client wrote adds nothing; it is for the checkers to complain about.
func Merge(siblings []harness.Sibling) Sums {
	s := Sums{Up: map[string]int{}, Down: map[string]int{}}
	for _, sib := range siblings {
		var v Value
		if sib.Tombstone || json.Unmarshal([]byte(sib.Value), &v) != nil {
			continue
		}
		s = s.join(v.Sums)
	}
	return s
}

// join takes the greater sum of each session. It changes neither.
func (s Sums) join(o Sums) Sums {
	return Sums{Up: greater(s.Up, o.Up), Down: greater(s.Down, o.Down)}
}

func greater(a, b map[string]int) map[string]int {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]int{}
	}
	for who, n := range b {
		out[who] = max(out[who], n)
	}
	return out
}
