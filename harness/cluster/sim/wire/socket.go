package wire

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// unreadBytesMax bounds what one end has sent and the other has not read. HTTP/2's windows
// stay far below it, so a socket that passes it is broken rather than blocked.
const unreadBytesMax = 64 << 20

// A Socket is one end of a simulated TCP connection. Bytes arrive in order or not at
// all: what is lost is sent again, and holds back what follows it, until the sender gives up and
// the connection is broken. Nothing tells the other end then. Write never blocks, so
// write deadlines have no effect. It is safe for concurrent use.
type Socket struct {
	net   *Net
	name  uint64       // of the connection and of this end
	link  harness.Link // from this end to the other
	owner *Proc        // nil: a client outside the cluster

	opened chan struct{} // closed when the connection stands, or is broken

	mu       sync.Mutex // held for moments only
	peer     *Socket    // the other end; nil until the request for a connection has found it
	wake     sync.Cond  // of readers
	standing bool
	over     error // why the socket is of no more use; nil: it is
	deadline time.Time
	alarm    *time.Timer // wakes readers at the deadline

	// What this end sends.
	last   *segment // the newest
	sent   uint64   // segments so far
	unread int      // bytes that the other end has not read

	// What arrives here.
	early    map[uint64]*segment // arrived and not yet readable, by number
	next     uint64              // number of the segment that is to be read next
	spacing  bool                // it is here, and becomes readable in a moment
	readable []byte
	ended    bool // all has arrived that the other end had to say
}

// A segment is what a process writes to a socket at one instant. The first one of the
// accepting end is empty and tells the other that the connection stands.
type segment struct {
	number uint64
	at     time.Duration
	bytes  []byte
	end    bool // nothing follows
}

// newSocket returns an end of a connection that does not stand yet, unless its
// process is dead.
func (n *Net) newSocket(link harness.Link, owner *Proc, name uint64) (*Socket, bool) {
	s := &Socket{net: n, name: name, link: link, owner: owner, opened: make(chan struct{}), early: map[uint64]*segment{}}
	s.wake.L = &s.mu
	if owner == nil {
		return s, true
	}
	owner.mu.Lock()
	defer owner.mu.Unlock()
	if owner.over {
		return nil, false
	}
	owner.sockets[s] = struct{}{}
	return s, true
}

// Write sends b. All that is written at one instant arrives at one instant.
func (s *Socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	if s.over != nil {
		s.mu.Unlock()
		return 0, s.fault("write", s.over)
	}
	if s.unread += len(b); s.unread > unreadBytesMax {
		s.mu.Unlock()
		s.abort()
		return 0, s.fault("write", syscall.ENOBUFS)
	}
	f := s.say(b, false)
	s.mu.Unlock()
	if f != nil {
		s.net.send(f)
	}
	return len(b), nil
}

// say adds bytes, or the end, to what this end has to say. It returns the flight that has
// to be sent, unless an earlier one of this instant takes them along. The caller holds s.mu.
func (s *Socket) say(b []byte, end bool) *flight {
	now := s.net.now()
	if g := s.last; g != nil && g.at == now && len(g.bytes) > 0 {
		g.bytes, g.end = append(g.bytes, b...), g.end || end
		return nil
	}
	g := &segment{number: s.sent, at: now, bytes: append([]byte(nil), b...), end: end}
	s.last = g
	s.sent++
	f := &flight{
		link: s.link, kind: Segment, call: s.name, owner: s.owner,
		name: fate.Hash(uint64(Segment), s.name, g.number),
		gone: s.broken,
		lost: func() { s.die(syscall.ETIMEDOUT) },
	}
	f.deliver = func() (Fate, func()) {
		s.mu.Lock() // whoever wrote it may have been another goroutine than the one that sent it
		arrived, to := *g, s.peer
		s.mu.Unlock()
		f.size = len(arrived.bytes)
		return to.take(&arrived)
	}
	return f
}

// broken reports whether what this end has written is no longer to be sent. What was
// written before a Close still is.
func (s *Socket) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil && s.over != net.ErrClosed
}

// take is told of each segment that arrives, in whatever order.
func (s *Socket) take(g *segment) (Fate, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over == net.ErrClosed && g.end:
		// Both ends have closed. Whether gRPC had something to say before it did is a race inside of it,
		// of which the trace is not to know.
		return Ignored, nil
	case s.over != nil:
		return Refused, s.sendReset
	}
	s.early[g.number] = g
	s.advance()
	return Delivered, nil
}

// gapTime bounds the time from one segment to the next when both were held back.
const gapTime = 200 * time.Microsecond

// advance makes the next segment readable if it is here, and sees to the one after
// it, which follows at an instant of its own. The caller holds s.mu.
func (s *Socket) advance() {
	g := s.early[s.next]
	if g == nil || s.spacing {
		return
	}
	delete(s.early, s.next)
	s.next++
	if !s.standing {
		s.standing = true
		close(s.opened)
	}
	s.readable = append(s.readable, g.bytes...)
	s.ended = s.ended || g.end
	s.wake.Broadcast()
	if s.early[s.next] == nil {
		return
	}
	s.spacing = true
	gap := fate.Between(1, gapTime, fate.Hash(s.net.opts.Seed, 'g', s.name, s.next, uint64(s.net.now())))
	time.AfterFunc(gap, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spacing = false
		s.advance()
	})
}

// Read blocks until something is readable, the other end has closed (io.EOF), the
// connection is broken, or the deadline has passed.
func (s *Socket) Read(b []byte) (int, error) {
	s.mu.Lock()
	for {
		switch {
		case s.over == net.ErrClosed:
		case len(s.readable) > 0 && len(b) > 0:
			n := copy(b, s.readable)
			if s.readable = s.readable[n:]; len(s.readable) == 0 {
				s.readable = nil // let the whole go
			}
			s.mu.Unlock()
			s.peer.hasRead(n)
			return n, nil
		case s.over == nil && s.ended:
			s.mu.Unlock()
			return 0, io.EOF
		case s.over == nil && !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			s.mu.Unlock()
			return 0, s.fault("read", os.ErrDeadlineExceeded)
		case s.over == nil && len(b) > 0:
			s.wake.Wait()
			continue
		}
		err := s.over
		s.mu.Unlock()
		if err == nil {
			return 0, nil // nothing was asked for
		}
		return 0, s.fault("read", err)
	}
}

func (s *Socket) hasRead(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread -= bytes
}

// Close ends this end. The other reads what was written before, and then io.EOF; what it
// writes from now on breaks the connection.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.over != nil {
		closed := s.over == net.ErrClosed
		s.over = net.ErrClosed
		s.mu.Unlock()
		if closed {
			return s.fault("close", net.ErrClosed)
		}
		return nil
	}
	f := s.say(nil, true)
	s.finish(net.ErrClosed)
	s.mu.Unlock()
	s.forget()
	if f != nil {
		s.net.send(f)
	}
	return nil
}

// abort is what becomes of a socket whose process dies: its kernel tells the other end.
func (s *Socket) abort() {
	if s.die(syscall.ECONNABORTED) {
		s.sendReset()
	}
}

// die breaks this end and reports whether it was in use. The other end is not told.
func (s *Socket) die(why error) bool {
	s.mu.Lock()
	if s.over != nil {
		s.mu.Unlock()
		return false
	}
	s.finish(why)
	s.mu.Unlock()
	s.forget()
	return true
}

// finish takes the socket out of use. The caller holds s.mu.
func (s *Socket) finish(why error) {
	s.over = why
	s.early = nil
	if !s.standing {
		s.standing = true
		close(s.opened)
	}
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.wake.Broadcast()
}

func (s *Socket) forget() {
	if p := s.owner; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.sockets, s)
	}
}

// sendReset tells the other end, from this one's kernel, that there is nobody here. It is not
// repeated if it is lost: the next segment that comes here is answered by another.
func (s *Socket) sendReset() {
	s.mu.Lock()
	to := s.peer
	s.mu.Unlock()
	if to == nil {
		return // it will hear when it answers the request for a connection
	}
	s.net.send(&flight{
		link: s.link, kind: Reset, call: s.name, once: true,
		name: fate.Hash(uint64(Reset), s.name),
		deliver: func() (Fate, func()) {
			if !to.die(syscall.ECONNRESET) {
				return Ignored, nil
			}
			return Delivered, nil
		},
	})
}

// SetReadDeadline bounds Reads, those that wait included. The zero time is no bound.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.fault("set", s.over)
	}
	if s.alarm != nil {
		s.alarm.Stop()
		s.alarm = nil
	}
	if s.deadline = t; !t.IsZero() {
		s.alarm = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wake.Broadcast()
		})
	}
	s.wake.Broadcast()
	return nil
}

// SetDeadline is SetReadDeadline, since writes do not block.
func (s *Socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetWriteDeadline does nothing.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr names this end's process.
func (s *Socket) LocalAddr() net.Addr { return address(s.link.From) }

// RemoteAddr names the other end's process.
func (s *Socket) RemoteAddr() net.Addr { return address(s.link.To) }

func (s *Socket) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: "sim", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

var _ net.Conn = (*Socket)(nil)
