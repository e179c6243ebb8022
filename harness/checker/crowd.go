package checker

import (
	"fmt"
	"slices"
	"sort"

	"cartwheel/harness"
)

// crowded tells how many siblings an answer shows, tombstones included, and how many it
// may: one for each chain of writes of which the last that was called by then is not
// superseded by something shown. An answer whose siblings are of different chains, none
// superseded, keeps within the bound, and it is not worked out.
func (k *keyIndex) crowded(a *answer) (shown, bound int) {
	seen := slices.DeleteFunc(slices.Clone(k.seen(a)), func(s int32) bool { return s == doubtful })
	if len(seen) < 2 || !slices.ContainsFunc(seen, func(s int32) bool { return k.excess(seen, s) != "" }) {
		return 0, 0
	}
	for c, chain := range k.chains {
		n := sort.Search(len(chain), func(i int) bool { return k.writes[chain[i]].inv > a.done })
		for n > 0 && !k.writes[chain[n-1]].effective() {
			n--
		}
		if n > 0 && (int(a.down.at(int32(c))) < n || slices.Contains(seen, chain[n-1]) && !k.covered(seen, chain[n-1])) {
			bound++
		}
	}
	return len(seen), bound
}

// covered reports whether one of the writes shown supersedes another.
func (k *keyIndex) covered(seen []int32, s int32) bool {
	return slices.ContainsFunc(seen, func(t int32) bool { return t >= 0 && k.writes[t].past(&k.writes[s]) })
}

// excess tells why a sibling is one too many; nothing if it is not.
func (k *keyIndex) excess(seen []int32, s int32) string {
	switch {
	case s < 0:
		return "nobody wrote it"
	case k.covered(seen, s):
		return "another one supersedes it"
	}
	n := 0
	for _, t := range seen {
		if t == s {
			n++
		}
	}
	if n > 1 {
		return fmt.Sprintf("it is shown %d times", n)
	}
	return ""
}

func (k *keyIndex) tellCrowd(a *answer, shown, bound int) harness.Anomaly {
	out := harness.Anomaly{Key: k.key, Ops: []int{k.h[a.inv].Index, k.h[a.done].Index}}
	out.Story = []string{
		fmt.Sprintf("%s of key %s showed %d siblings, but no more than %d of the writes called by then were concurrent and not covered by another that it showed.",
			capital(said(k.h[a.inv])), k.key, shown, bound),
		k.told(a) + ".",
	}
	told := make(map[int32]bool)
	seen := k.seen(a)
	for _, s := range seen {
		if why := k.excess(seen, s); s >= 0 && why != "" && !told[s] {
			told[s] = true
			inv := k.h[k.writes[s].inv]
			out.Ops = append(out.Ops, inv.Index)
			out.Story = append(out.Story, fmt.Sprintf("%s is one too many: %s.", capital(said(inv)), why))
		}
	}
	return out
}
