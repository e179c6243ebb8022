package runner

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
)

// board is what Progress shows. Its lock is held for copies only; the callback runs in
// one goroutine without it.
type board struct {
	mu      sync.Mutex
	phase   harness.Phase
	since   time.Time
	limit   time.Duration
	counts  harness.Stats
	active  []harness.Fault
	notes   []Progress // to be shown, oldest first
	changed chan struct{}
	quit    chan struct{}
	wg      sync.WaitGroup
}

// notesMax bounds what a slow callback can leave waiting.
const notesMax = 100

func (b *board) start(show func(Progress)) {
	b.changed, b.quit = make(chan struct{}, 1), make(chan struct{})
	if show != nil {
		b.wg.Go(func() { b.loop(show) })
	}
}

// stop returns after the last call of the callback.
func (b *board) stop() {
	close(b.quit)
	b.wg.Wait()
}

func (b *board) loop(show func(Progress)) {
	const every = 500 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var rates meter
	for {
		select {
		case <-b.quit:
			b.showNotes(show, &rates)
			return
		case <-b.changed:
			b.showNotes(show, &rates)
		case <-ticker.C:
			b.showNotes(show, &rates)
			p := b.snapshot()
			p.OpsPerSecond = rates.rate(p)
			show(p)
		}
	}
}

// showNotes shows everything that has happened since, one call a note.
func (b *board) showNotes(show func(Progress), rates *meter) {
	b.mu.Lock()
	notes := b.notes
	b.notes = nil
	b.mu.Unlock()
	for _, p := range notes {
		p.OpsPerSecond = rates.last
		show(p)
	}
}

func (b *board) snapshot() Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now()
}

// now is how things stand; the caller holds the lock.
func (b *board) now() Progress {
	elapsed := time.Since(b.since)
	return Progress{
		Phase: b.phase, Elapsed: elapsed, Remaining: max(0, b.limit-elapsed),
		OK: b.counts.OK, Fail: b.counts.Fail, Info: b.counts.Info,
		Active: slices.Clone(b.active),
	}
}

func (b *board) change(f func()) {
	b.mu.Lock()
	f()
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default: // the callback will be told of both
	}
}

// say adds a note; the caller holds the lock.
func (b *board) say(note string) {
	if len(b.notes) < notesMax {
		p := b.now()
		p.Note = note
		b.notes = append(b.notes, p)
	}
}

func (b *board) note(note string) { b.change(func() { b.say(note) }) }

func (b *board) enter(p harness.Phase, limit time.Duration, note string) {
	b.change(func() {
		b.phase, b.since, b.limit = p, time.Now(), limit
		b.say(note)
	})
}

func (b *board) completed(k harness.Kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	count(&b.counts, k)
}

func (b *board) struck(f harness.Fault) {
	b.change(func() {
		b.active = append(b.active, f)
		slices.SortFunc(b.active, func(x, y harness.Fault) int { return cmp.Compare(x.ID, y.ID) })
		b.say(f.ID + " struck: " + f.Kind + " " + f.Name)
	})
}

func (b *board) healed(f harness.Fault) {
	b.change(func() {
		b.active = slices.DeleteFunc(b.active, func(x harness.Fault) bool { return x.ID == f.ID })
		b.say(f.ID + " healed: " + f.Kind + " " + f.Name)
	})
}

// meter turns counts into a rate.
type meter struct {
	at    time.Time
	count int
	last  float64
}

func (m *meter) rate(p Progress) float64 {
	now, count := time.Now(), p.OK+p.Fail+p.Info
	if !m.at.IsZero() && now.After(m.at) {
		m.last = float64(count-m.count) / now.Sub(m.at).Seconds()
	}
	m.at, m.count = now, count
	return m.last
}

func count(s *harness.Stats, k harness.Kind) {
	switch k {
	case harness.OK:
		s.OK++
	case harness.Fail:
		s.Fail++
	case harness.Info:
		s.Info++
	}
}
