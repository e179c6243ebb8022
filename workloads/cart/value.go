package cart

import (
	"encoding/json"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// A Value is what a cart's key holds.
type Value struct {
	ID    string   `json:"id"`    // unique among all puts of a run
	Items []string `json:"items"` // sorted, each once; empty is not null
}

// Encode renders a value as it is stored. It sorts the items.
func (v Value) Encode() string {
	items := slices.Sorted(slices.Values(v.Items))
	v.Items = append([]string{}, slices.Compact(items)...)
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cart: encode %v: %v", v, err)) // strings always marshal
	}
	return string(b)
}

// Merge is the union of what the live siblings hold, sorted: the client's syntactic
// merge of the paper's section 4.4. A sibling that no client wrote adds nothing; it is
// for the checkers to complain about.
func Merge(siblings []harness.Sibling) []string {
	var items []string
	for _, s := range siblings {
		var v Value
		if s.Tombstone || json.Unmarshal([]byte(s.Value), &v) != nil {
			continue
		}
		items = append(items, v.Items...)
	}
	slices.Sort(items)
	return slices.Compact(items)
}
