package checker

import (
	"context"
	"fmt"

	"cartwheel/harness"
)

// CopyWentBack is the kind of anomaly that [Copies] finds: a node's own copy that lacks
// what the same node's copy admitted to before.
const CopyWentBack = "copy-went-back"

// Copies compares every node's own copy of a key with that node's copy before: versions
// are merged and superseded, so what a copy admits to only ever grows. It takes all
// replica reads of a run, of which the final phase makes several rounds.
func Copies() harness.Checker { return newCheck("copies", copies) }

func copies(ctx context.Context, x *index) harness.Finding {
	c := x.collect(CopyWentBack)
	probes, compared := 0, 0
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		if k.hidden {
			continue
		}
		before := make(map[harness.NodeID]copyRead)
		for _, round := range k.rounds {
			for _, now := range round {
				if now.answer == none || k.answers[now.answer].open {
					continue
				}
				probes++
				was, ok := before[now.node]
				before[now.node] = now
				if !ok {
					continue
				}
				compared++
				if !k.answers[now.answer].down.covers(k.answers[was.answer].down) {
					c.add(CopyWentBack, 0, func() harness.Anomaly { return k.tellWentBack(was, now) })
				}
			}
		}
	}
	if probes == 0 {
		return unknown("no copy was read whose past is known")
	}
	figures := map[string]float64{"copies": float64(probes), "compared": float64(compared)}
	return c.finding(count(probes, "copy", "copies")+fmt.Sprintf(", %d of them with one before", compared), nil, figures)
}

func (k *keyIndex) tellWentBack(was, now copyRead) harness.Anomaly {
	w := k.lacking(&k.answers[now.answer], k.answers[was.answer].down)
	put := k.h[w.inv]
	return harness.Anomaly{
		Key: k.key, Element: element(put),
		Ops: []int{put.Index, k.h[was.inv].Index, k.h[was.done].Index, k.h[now.inv].Index, k.h[now.done].Index},
		Story: []string{
			fmt.Sprintf("The copy of key %s at %s knew of %s and does not any more.", k.key, now.node, said(put)),
			k.told(&k.answers[was.answer]) + ".", k.told(&k.answers[now.answer]) + ".",
		},
	}
}
