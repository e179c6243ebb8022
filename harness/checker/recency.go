package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// Stale is the kind of anomaly that [Recency] finds: a get that lacks a write which
// was acknowledged before the get was called.
const Stale = "stale-read"

// Recency compares each get with the writes acknowledged before it was called: it must
// show or supersede all of them where quorums are strict, R+W > N (section 4.5 of the
// paper). Elsewhere it measures by how much gets are behind, exactly: in seconds since
// the oldest acknowledgement that a get misses, and in versions. The share of gets that
// see the newest write so long after its acknowledgement is the t-visibility of Bailis
// and others (PBS, VLDB 2012); where the store tells how long its replicas took, their
// prediction for the same gets stands beside it. The lag of a write is the time from its acknowledgement to
// the last call of a get that lacks it, 0 for one that no later get missed.
func Recency() harness.Checker { return newCheck("recency", recency) }

// A staleness is what one get lacks.
type staleness struct {
	answer  int32
	oldest  int32 // the missing write that was acknowledged first
	age     time.Duration
	missing []int32 // acknowledged writes, by chain
}

func recency(ctx context.Context, x *index) harness.Finding {
	c := x.collect(Stale)
	reads, open := 0, 0
	var ages []time.Duration
	var versions []int
	curve := visibility{predicted: predict(x.served, x.copiesOf())}
	lagging := make(map[string]time.Duration) // the longest lag of a key
	var lags []time.Duration                  // of every acknowledged write: how long a get that was called later could still lack it
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		lag, longest := make(map[int32]time.Duration), time.Duration(0)
		n, skipped := k.stale(&curve, func(s staleness) {
			for _, w := range s.missing {
				lag[w] = k.times[k.answers[s.answer].inv] - k.times[k.writes[w].done]
			}
			ages, versions = append(ages, s.age), append(versions, len(s.missing))
			c.add(Stale, len(s.missing), func() harness.Anomaly { return k.tellStale(x, s) })
		})
		reads, open = reads+n, open+skipped
		for i := range k.writes {
			if k.writes[i].acked() {
				lags = append(lags, lag[int32(i)])
				longest = max(longest, lag[int32(i)])
			}
		}
		if longest > 0 {
			lagging[k.key] = longest
		}
	}
	if reads == 0 {
		return unknown("no get whose past is known")
	}
	figures := map[string]float64{"reads": float64(reads), "unjudged": float64(open), "stale": float64(len(ages)), "stale_share": float64(len(ages)) / float64(reads)}
	percentiles(figures, "stale_seconds", ages, time.Duration.Seconds)
	percentiles(figures, "stale_versions", versions, func(n int) float64 { return float64(n) })
	percentiles(figures, "lag_seconds", lags, time.Duration.Seconds)
	for _, key := range widest(lagging) {
		figures["lag_seconds_max/"+key] = lagging[key].Seconds()
	}
	curve.into(figures)
	checked := count(reads, "get", "gets") + " of " + count(len(x.keys), "key", "keys")
	if len(ages) > 0 {
		checked += fmt.Sprintf(", up to %.3f s behind", slices.Max(ages).Seconds())
	}
	return c.finding(checked, nil, figures)
}

// stale finds the gets of a key that lack an acknowledged write, and tells how many it
// has judged and how many it could not.
func (k *keyIndex) stale(curve *visibility, found func(staleness)) (judged, open int) {
	if k.hidden {
		return 0, 0 // a get that shows nothing may have seen a delete
	}
	var ends, gets []int32
	for i := range k.writes {
		if k.writes[i].acked() {
			ends = append(ends, int32(i))
		}
	}
	for i := range k.answers {
		if a := &k.answers[i]; a.client() {
			gets = append(gets, int32(i))
		}
	}
	slices.SortFunc(ends, func(a, b int32) int { return int(k.writes[a].done - k.writes[b].done) })
	slices.SortFunc(gets, func(a, b int32) int { return int(k.answers[a].inv - k.answers[b].inv) })
	var acked vector
	newest := int32(none)
	for _, g := range gets {
		a := &k.answers[g]
		call := k.times[a.inv]
		for len(ends) > 0 && k.times[k.writes[ends[0]].done] < call {
			newest = ends[0]
			acked = acked.join(k.writes[newest].down)
			ends = ends[1:]
		}
		if a.open {
			open++
			continue
		}
		judged++
		if newest != none {
			curve.add(call-k.times[k.writes[newest].done], a.holds(&k.writes[newest]))
		}
		if !a.down.covers(acked) {
			found(k.staleness(g, acked))
		}
	}
	return judged, open
}

// staleness measures what an answer lacks of a set.
func (k *keyIndex) staleness(g int32, acked vector) staleness {
	a := &k.answers[g]
	s := staleness{answer: g, oldest: none}
	for c, n := range acked {
		for pos := a.down.at(int32(c)); pos < n; pos++ {
			i := k.chains[c][pos]
			w := &k.writes[i]
			if !w.acked() || k.times[w.done] >= k.times[a.inv] {
				continue
			}
			s.missing = append(s.missing, i)
			if s.oldest == none || w.done < k.writes[s.oldest].done {
				s.oldest = i
			}
		}
	}
	s.age = k.times[a.inv] - k.times[k.writes[s.oldest].done]
	return s
}

func (k *keyIndex) tellStale(x *index, s staleness) harness.Anomaly {
	a, w := &k.answers[s.answer], &k.writes[s.oldest]
	inv, done, put, acked := k.h[a.inv], k.h[a.done], k.h[w.inv], k.h[w.done]
	out := harness.Anomaly{Key: k.key, Element: element(put), Ops: []int{put.Index, acked.Index, inv.Index, done.Index}}
	out.Story = []string{
		fmt.Sprintf("%s of key %s was called at %s and does not know of %s, acknowledged %.3f s earlier.",
			capital(said(inv)), k.key, instant(inv.Time), said(put), s.age.Seconds()),
		k.told(a) + ".",
	}
	if len(s.missing) > 1 {
		out.Story[0] += fmt.Sprintf(" It lacks %d acknowledged writes in all.", len(s.missing))
	}
	if t := served(acked.Meta); t != "" {
		out.Story = append(out.Story, fmt.Sprintf("Who stored %s: %s.", title(put), t))
	}
	if t := served(done.Meta); t != "" {
		out.Story = append(out.Story, fmt.Sprintf("Whom the get asked: %s.", t))
	}
	out.Story = append(out.Story, k.duringFaults(x, put.Time, done.Time)...)
	return out
}

// duringFaults names the faults of a stretch of time.
func (k *keyIndex) duringFaults(x *index, from, to time.Duration) []string {
	var out []string
	for _, f := range x.faults {
		if f.overlaps(from, to) && len(out) < storyFaultsMax {
			out = append(out, fmt.Sprintf("Between %s and %s there was %s.", instant(from), instant(to), f))
		}
	}
	if len(out) == 0 {
		out = append(out, fmt.Sprintf("There was no fault between %s and %s.", instant(from), instant(to)))
	}
	return out
}
