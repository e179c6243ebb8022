package nemesis

import (
	"context"
	"fmt"
	"time"

	"cartwheel/harness"
)

// Stages of a fault's observations.
const (
	before = "before"
	during = "during"
	after  = "after"
)

const (
	looksMax   = 6                      // at links that have to be open, before they count as cut: bad ones lose probes
	probesMax  = 20                     // failed probes told one by one, for each stage and expectation
	beginLimit = 8 * time.Second        // for a node to be started by whoever holds it, and to tell its time
	retryEvery = 100 * time.Millisecond // between two looks at what should come true soon
	openLimit  = 15 * time.Second       // for links to carry packets again; a look alone takes seconds on a busy machine
)

// proof collects evidence.
type proof struct {
	*harness.Evidence
	now func() time.Duration
}

func (p proof) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func (p proof) probe(when, what string, want, got bool) {
	p.Probes = append(p.Probes, harness.Probe{When: when, What: what, Want: want, Got: got, Time: p.now()})
}

// links records how many of the links were as wanted, and those that were not.
func (p proof) links(when string, links []harness.Link, open bool, seen map[harness.Link]bool) {
	if len(links) == 0 {
		return
	}
	state := map[bool]string{true: "open", false: "blocked"}
	var wrong []harness.Link
	for _, l := range links {
		if got, ok := seen[l]; !ok || got != open {
			wrong = append(wrong, l)
		}
	}
	p.probe(when, fmt.Sprintf("%d links %s", len(links), state[open]), true, len(wrong) == 0)
	for i, l := range wrong {
		if i == probesMax {
			break
		}
		p.probe(when, fmt.Sprintf("%s->%s open", l.From, l.To), open, !open)
	}
	if len(wrong) > 0 {
		p.problem("%s: %d of %d links were not %s, among them %s->%s",
			when, len(wrong), len(links), state[open], wrong[0].From, wrong[0].To)
	}
}

// state records whether a node is in a state, "n3 paused", and a problem if that is not as
// wanted or cannot be told.
func (p proof) state(when string, n harness.NodeID, state string, want bool, look func() (bool, error)) {
	got, err := look()
	if err != nil {
		p.problem("%s: it is not known whether %s is %s: %v", when, n, state, err)
		return
	}
	p.probe(when, fmt.Sprintf("%s %s", n, state), want, got)
	switch {
	case want && !got:
		p.problem("%s: %s is not %s", when, n, state)
	case got && !want:
		p.problem("%s: %s is %s", when, n, state)
	}
}

// meetLimit is how long what a fault meets may take to come: on a busy machine a fault may
// be late to begin and is not healed any later.
const meetLimit = 3 * time.Second

// meets waits until a look finds that a fault has met something, or its time is over.
func meets(ctx context.Context, look func() bool) {
	ctx, cancel := context.WithTimeout(ctx, meetLimit)
	defer cancel()
	for !look() && wait(ctx, retryEvery) {
	}
}

// wait sleeps and reports whether ctx let it.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// persist tries to undo something until it works or ctx is over: what is left behind
// would spoil the rest of the run.
func persist(ctx context.Context, undo func() error) error {
	for {
		err := undo()
		if err == nil {
			return nil
		}
		if !wait(ctx, retryEvery) {
			return err
		}
	}
}
