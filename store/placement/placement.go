package placement

import (
	"context"
	"fmt"
	"sync"

	"cartwheel/store"
	"cartwheel/store/ring/history"
)

// A Placement is the present history of one node. It is safe for concurrent use.
type Placement struct {
	mu            sync.Mutex // guards all of it; never held over a wait or a callback
	now           history.History
	writes, reads uses
	joins         uses
	ended         chan struct{} // closed when the last request of some history has ended

	subscribers []func(history.History)
	telling     bool // somebody tells the subscribers
	untold      bool // what they were told last is out of date
}

// New returns a placement that begins with h, which may be the zero History of a node that has not joined.
func New(h history.History) *Placement {
	return &Placement{now: h, writes: uses{}, reads: uses{}, joins: uses{}, ended: make(chan struct{})}
}

// Now returns what is known now.
func (p *Placement) Now() history.History {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Update replaces what is known by change's result, unless that is an error, which it returns. change
// must be quick and pure: it may be a method of History. Requests that begin from now on use the new history.
func (p *Placement) Update(change func(history.History) (history.History, error)) error {
	p.mu.Lock()
	h, err := change(p.now)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	p.now = h
	p.untold = true
	first := !p.telling
	p.telling = true
	p.mu.Unlock()
	if first { // otherwise the one who tells will tell this, too
		p.tell()
	}
	return nil
}

// Subscribe has f called with the present history, once at once and again after updates: never twice
// at a time, and the last call always with the newest history. f must not block, nor call Update.
func (p *Placement) Subscribe(f func(history.History)) {
	p.mu.Lock()
	p.subscribers = append(p.subscribers, f)
	p.untold = true
	first := !p.telling
	p.telling = true
	p.mu.Unlock()
	if first {
		p.tell()
	}
}

// tell calls the subscribers until they know the newest.
func (p *Placement) tell() {
	for {
		p.mu.Lock()
		if !p.untold {
			p.telling = false
			p.mu.Unlock()
			return
		}
		p.untold = false
		h, all := p.now, p.subscribers
		p.mu.Unlock()
		for _, f := range all {
			f(h)
		}
	}
}

// Write begins a write that goes by what is known now. end is called once, when nothing of the write
// is left: also nothing that was put off until after its reply.
func (p *Placement) Write() (h history.History, end func()) { return p.begin(p.writes, newest) }

// Read does the same for a read.
func (p *Placement) Read() (h history.History, end func()) { return p.begin(p.reads, readFrom) }

// Join begins to serve what another node sends to be stored here, by what is known now: it may have been on its way for long.
func (p *Placement) Join() (h history.History, end func()) {
	return p.begin(p.joins, history.History.Oldest)
}

func (p *Placement) begin(all uses, by func(history.History) history.Version) (history.History, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.now
	if !h.Joined() {
		return h, func() {}
	}
	v := by(h)
	u := all[v.ID]
	if u == nil {
		u = &use{version: v, history: h}
		all[v.ID] = u
	}
	u.count++
	return h, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if u.count--; u.count == 0 {
			delete(all, v.ID)
			close(p.ended)
			p.ended = make(chan struct{})
		}
	}
}

func newest(h history.History) history.Version   { return h.Newest() }
func readFrom(h history.History) history.Version { return h.Read() }

// A use is requests of one kind that began with the same version.
type use struct {
	version history.Version // that a write knew as the newest, or that a read goes by
	history history.History // of the first of them
	count   int
}

type uses map[uint64]*use // by the version's id

// WritesEnded returns when every write has ended that began without knowing v. The error is that of ctx,
// or store.ErrInvalid if v is not known here: then writes without it may begin at any time.
func (p *Placement) WritesEnded(ctx context.Context, v history.Version) error {
	return p.wait(ctx, v, p.writes, func(u *use) bool {
		return u.history.Knows(v) || u.history.Oldest().Number > v.Number
	})
}

// ReadsEnded returns when every read has ended that goes by a version before v. Errors are as for
// WritesEnded; here v must be the one that reads go by now, or before it.
func (p *Placement) ReadsEnded(ctx context.Context, v history.Version) error {
	return p.wait(ctx, v, p.reads, func(u *use) bool { return u.version.Number >= v.Number })
}

// JoinsEnded returns when nothing is being stored any more that was let in while versions before v were live here. Errors
// are as for WritesEnded; v must be the oldest that is live, or before it.
func (p *Placement) JoinsEnded(ctx context.Context, v history.Version) error {
	return p.wait(ctx, v, p.joins, func(u *use) bool { return u.version.Number >= v.Number })
}

func (p *Placement) wait(ctx context.Context, v history.Version, all uses, fine func(*use) bool) error {
	for {
		p.mu.Lock()
		if !p.now.Knows(v) {
			p.mu.Unlock()
			return fmt.Errorf("wait for requests without version %d: it is not live here: %w", v.Number, store.ErrInvalid)
		}
		waits := false
		for _, u := range all {
			waits = waits || !fine(u)
		}
		ended := p.ended
		p.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
