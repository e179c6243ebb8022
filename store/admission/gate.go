package admission

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cartwheel/store"
)

// A Kind is a sort of background work. Kinds are in the order of their precedence.
type Kind uint8

// Kinds of background work.
const (
	Hint     Kind = iota // delivery of hints: what they hold has too few replicas
	Transfer             // copies of partitions to new owners
	Repair               // anti-entropy
	Rebuild              // checks of hash trees, which read everything
	Reap                 // the search for tombstones, which reads everything, too
	Kinds                // how many there are
)

// String returns the kind's name in metrics.
func (k Kind) String() string { return [...]string{"hint", "transfer", "repair", "rebuild", "reap"}[k] }

// headStart is by how much a kind may overtake the next one that came before it. So each is served in the end.
const headStart = 250 * time.Millisecond

// Options of a gate.
type Options struct {
	Target time.Duration        // of the 99th percentile of foreground operations; required
	Now    func() time.Duration // monotonic time since some moment; required
}

// A Gate grants slices of a node to background work. A nil *Gate grants all of it at once.
type Gate struct {
	now func() time.Duration

	mu         sync.Mutex // guards what follows, never a wait
	controller *Controller
	strain     strain
	line       []*waiter
	paid       time.Duration // moment up to which what was granted is paid for
	stats      Stats
}

// A waiter is one request for slices.
type waiter struct {
	due  time.Duration // its place in the line
	turn chan struct{} // told when it is the first; one tells enough
}

// New returns a gate that is open.
func New(o Options) (*Gate, error) {
	if o.Target <= 0 || o.Now == nil {
		return nil, fmt.Errorf("admission: target is %v, want more than 0, and Now is required: %w", o.Target, store.ErrInvalid)
	}
	now := o.Now()
	return &Gate{now: o.Now, controller: NewController(o.Target, now), strain: strain{target: o.Target, next: now + tick}}, nil
}

// Observe is told how long a foreground operation took.
func (g *Gate) Observe(latency time.Duration) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.controller.Observe(now, latency)
	g.strain.observe(now, latency)
}

// Stalled is told when the engine begins and ceases to hold writes up.
func (g *Gate) Stalled(begins bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.controller.Stalled(g.now(), begins); begins {
		g.stats.Stalls++
	}
}

// Of returns a function that waits until work of a kind, on so many bytes, is admitted, or ends with the error of its
// context. It may also be called after the work, which holds up what comes next.
func (g *Gate) Of(k Kind) func(ctx context.Context, sizeBytes int) error {
	return func(ctx context.Context, sizeBytes int) error {
		if g == nil {
			return ctx.Err()
		}
		return g.ask(ctx, k, 1+float64(sizeBytes)/SliceBytes)
	}
}

func (g *Gate) ask(ctx context.Context, k Kind, slices float64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	began := g.now()
	w := &waiter{due: began + time.Duration(k)*headStart, turn: make(chan struct{}, 1)}
	g.enter(w)
	defer g.leave(w)
	for {
		first, wait := g.line[0] == w, time.Duration(0)
		if first {
			if wait = g.spend(slices); wait <= 0 {
				g.stats.Granted[k] += slices
				g.strain.grant(g.now(), slices)
				g.stats.Waited[k] += g.now() - began
				return nil
			}
		}
		if err := g.pause(ctx, w, first, min(wait, tick)); err != nil {
			return err
		}
	}
}

// pause waits without the lock: the first of the line for time to pass, others for their turn.
func (g *Gate) pause(ctx context.Context, w *waiter, first bool, d time.Duration) error {
	g.mu.Unlock()
	defer g.mu.Lock()
	var passed <-chan time.Time
	if first {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed: // look again: the share may have changed
	case <-w.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// enter puts a waiter behind all that are due no later.
func (g *Gate) enter(w *waiter) {
	i := len(g.line)
	for i > 0 && g.line[i-1].due > w.due {
		i--
	}
	g.line = append(g.line, nil)
	copy(g.line[i+1:], g.line[i:])
	g.line[i] = w
}

// leave takes a waiter out and tells the next, if it was the first.
func (g *Gate) leave(w *waiter) {
	for i := range g.line {
		if g.line[i] != w {
			continue
		}
		g.line = append(g.line[:i], g.line[i+1:]...)
		if i == 0 && len(g.line) > 0 {
			select {
			case g.line[0].turn <- struct{}{}:
			default: // it was told already
			}
		}
		return
	}
}

// spend pays for slices, or says how long it takes until what was granted before is paid for.
func (g *Gate) spend(slices float64) (wait time.Duration) {
	now := g.now()
	share, limited := g.controller.Share(now)
	if !limited {
		g.paid = now
		return 0
	}
	if wait = g.paid - now; wait > 0 {
		return wait
	}
	g.paid = now + time.Duration(slices/share*float64(time.Second))
	return 0
}

// Stats say what was granted since New, and how things are.
type Stats struct {
	Granted [Kinds]float64       // slices
	Waited  [Kinds]time.Duration // sum over all who asked
	Stalls  uint64               // times that the engine held writes up
	Cuts    uint64               // times that slices were taken away
	Late    float64              // slices granted beside a foreground that had been late for two seconds
	Beyond  float64              // of these, slices granted sooner than half of ShareMax and what is given back in that time allow: 0, whoever asks
	Share   float64              // slices a second at present, ShareMax: no limit
	P99     time.Duration        // of foreground operations, as judged last
}

// Stats returns them; those of a nil gate are zero.
func (g *Gate) Stats() Stats {
	if g == nil {
		return Stats{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Share, _ = g.controller.Share(g.now())
	s.Late, s.Beyond = g.strain.granted, g.strain.beyond
	s.P99, s.Cuts = g.controller.P99(g.now()), g.controller.cuts
	return s
}
