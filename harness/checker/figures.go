package checker

import (
	"cmp"
	"slices"
)

// widestMax is how many keys have a figure of their own.
const widestMax = 10

// widest lists the keys with the greatest figures, the greatest first.
func widest[T cmp.Ordered](by map[string]T) []string {
	keys := sortedKeys(by)
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(by[b], by[a]) })
	return keys[:min(len(keys), widestMax)]
}

// percentiles adds the figures NAME_p50, NAME_p99 and NAME_max of what was measured, if
// anything was. It sorts what it is given.
func percentiles[T cmp.Ordered](figures map[string]float64, name string, measured []T, value func(T) float64) {
	n := len(measured)
	if n == 0 {
		return
	}
	slices.Sort(measured)
	figures[name+"_p50"] = value(measured[n/2])
	figures[name+"_p99"] = value(measured[n*99/100])
	figures[name+"_max"] = value(measured[n-1])
}
