package checker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
)

// A Budget bounds the search of [Linearizable], which is exponential at its worst. A key
// that goes beyond it is unknown, never valid.
type Budget struct {
	Time   time.Duration // a key's; default 10s
	Memory int64         // of a key's search, in bytes, as estimated; default 1 GiB
	Ops    int           // on a key; default 2000, beyond which a picture is of no use either
}

func (b Budget) withDefaults() Budget {
	if b.Time == 0 {
		b.Time = 10 * time.Second
	}
	if b.Memory == 0 {
		b.Memory = 1 << 30
	}
	if b.Ops == 0 {
		b.Ops = 2000
	}
	return b
}

// searchesMax is how many keys are searched side by side. More would only add up memory.
const searchesMax = 2

// Linearizable judges each key as a linearizable register with Porcupine, and by zones.
// It is for workloads with one writer a key and strict quorums that read before they
// answer; then a key has one live version at a time, and an answer that shows two is a
// violation, too. The zones name the operations that contradict each other. Should the
// two methods ever disagree, the key is unknown. The picture is Porcupine's, of the
// first key that failed.
func Linearizable(b Budget) harness.Checker { return linearizable{b.withDefaults()} }

type linearizable struct{ budget Budget }

func (linearizable) Name() string { return "linearizable" }

func (l linearizable) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := l.check(ctx, h)
	f.Checker = l.Name()
	return f
}

// A ruling is what is known of one register.
type ruling struct {
	conflict *conflict
	doubt    string
}

func (l linearizable) check(ctx context.Context, h []harness.Op) harness.Finding {
	rs, err := registers(ctx, h)
	if err != nil {
		return unknown("the history was not judged: %v", err)
	}
	rulings := ruleAll(rs, func(r *register) ruling { return l.ruleOne(ctx, r) })
	f := registersFinding(rs, rulings)
	if i := slices.IndexFunc(rulings, func(r ruling) bool { return r.conflict != nil }); i >= 0 {
		f.Picture = l.picture(ctx, rs[i], windows(h))
	}
	return f
}

// ruleAll judges every register, two at a time.
func ruleAll(rs []*register, rule func(*register) ruling) []ruling {
	rulings := make([]ruling, len(rs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(searchesMax, len(rs)) {
		wg.Go(func() {
			for i := range next {
				rulings[i] = rule(rs[i])
			}
		})
	}
	for i := range rs {
		next <- i
	}
	close(next)
	wg.Wait()
	return rulings
}

func (l linearizable) ruleOne(ctx context.Context, r *register) ruling {
	if r.doubt != "" {
		return ruling{doubt: r.doubt}
	}
	if err := r.validate(); err != nil {
		return ruling{doubt: err.Error()}
	}
	if ctx.Err() != nil {
		return ruling{doubt: fmt.Sprintf("the check was cut short: %v", context.Cause(ctx))}
	}
	con := zones(r.ops)
	legal, doubt := l.search(ctx, r.steps())
	return reconcile(con, legal, doubt)
}

// reconcile joins what the zones found and what the search said, or why it said nothing.
func reconcile(con *conflict, legal bool, doubt string) ruling {
	switch {
	case doubt != "" && con != nil:
		return ruling{conflict: con} // the contradiction stands by itself
	case doubt != "":
		return ruling{doubt: doubt}
	case legal != (con == nil):
		return ruling{doubt: fmt.Sprintf("the checkers disagree: by Porcupine it is linearizable: %t; by zones: %t", legal, con == nil)}
	}
	return ruling{conflict: con}
}
