package wire

import (
	"context"
	"net"
	"sync"
	"syscall"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// backlogMax is how many connections may wait for Accept, as Linux has it. More are
// refused.
const backlogMax = 4096

// ListenSockets begins to serve connections, instead of calls as Listen does. The
// listener's Close does not end the connections that it has accepted.
func (p *Proc) ListenSockets() (net.Listener, error) {
	backlog := make(chan *Socket, backlogMax)
	p.mu.Lock()
	p.backlog = backlog
	p.mu.Unlock()
	if err := p.Listen(); err != nil {
		return nil, err
	}
	return &listener{proc: p, backlog: backlog, closed: make(chan struct{})}, nil
}

type listener struct {
	proc    *Proc
	backlog chan *Socket
	once    sync.Once
	closed  chan struct{}
}

// Accept returns the next connection, or an error once the listener is closed or its
// process is dead.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case s := <-l.backlog:
		return s, nil
	case <-l.closed:
	case <-l.proc.ctx.Done():
	}
	return nil, &net.OpError{Op: "accept", Net: "sim", Addr: l.Addr(), Err: net.ErrClosed}
}

func (l *listener) Addr() net.Addr { return address(l.proc.id) }

// Close refuses further connections, those in the backlog too.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.proc.mu.Lock()
		l.proc.backlog = nil
		l.proc.mu.Unlock()
		for {
			select {
			case s := <-l.backlog:
				s.abort()
			default:
				return
			}
		}
	})
	return nil
}

// Connect opens a connection of a client outside the cluster. See [Net.Dial] for calls.
func (n *Net) Connect(ctx context.Context, client, to harness.NodeID) (net.Conn, error) {
	return n.connect(ctx, harness.Link{From: client, To: to}, nil)
}

// Connect opens a connection of this process. See [Proc.Dial] for calls.
func (p *Proc) Connect(ctx context.Context, to harness.NodeID) (net.Conn, error) {
	return p.net.connect(ctx, harness.Link{From: p.id, To: to}, p)
}

// connect asks for a connection and waits until it stands. Nobody listens: it is refused
// after a round trip. No answer: it is asked for again, until the sender gives up or ctx ends.
func (n *Net) connect(ctx context.Context, link harness.Link, owner *Proc) (net.Conn, error) {
	name := fate.Hash(uint64(Connect), linkName(link), uint64(n.now()))
	near, ok := n.newSocket(link, owner, fate.Hash(name, 1))
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "sim", Addr: address(link.To), Err: syscall.ENETDOWN}
	}
	n.send(&flight{
		link: link, kind: Connect, call: name, name: name, owner: owner, kernel: true,
		deliver: func() (Fate, func()) { return n.accept(near, fate.Hash(name, 2)) },
		gone:    near.broken,
		lost:    func() { near.die(syscall.ETIMEDOUT) },
	})
	select {
	case <-near.opened:
	case <-ctx.Done():
		near.die(syscall.ECONNABORTED) // an answer that comes later is answered by a reset
		return nil, near.fault("dial", ctx.Err())
	}
	near.mu.Lock()
	err := near.over
	near.mu.Unlock()
	if err != nil {
		return nil, near.fault("dial", err)
	}
	return near, nil
}

// accept makes the other end of a connection that was asked for.
func (n *Net) accept(near *Socket, name uint64) (Fate, func()) {
	back := harness.Link{From: near.link.To, To: near.link.From}
	p := n.listener(back.From)
	var far *Socket
	ok := p != nil
	if ok {
		far, ok = n.newSocket(back, p, name)
	}
	if !ok {
		return Refused, func() { n.refuse(near, back, name) }
	}
	near.mu.Lock()
	near.peer = far
	near.mu.Unlock()
	far.mu.Lock()
	far.peer, far.standing = near, true
	close(far.opened)
	f := far.say(nil, false)
	f.owner = nil // the kernel answers, also for a frozen process
	far.mu.Unlock()
	if !p.queue(far) {
		far.die(syscall.ECONNREFUSED)
		return Refused, func() { n.refuse(near, back, name) }
	}
	return Delivered, func() { n.send(f) }
}

// queue puts a connection into the backlog and reports whether there was room in it.
func (p *Proc) queue(s *Socket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.backlog <- s: // a nil backlog has no room
		return true
	default:
		return false
	}
}

// refuse is the answer of a kernel that has no connection to give.
func (n *Net) refuse(near *Socket, back harness.Link, name uint64) {
	n.send(&flight{
		link: back, kind: Reset, call: name, once: true, name: fate.Hash(uint64(Reset), name),
		deliver: func() (Fate, func()) {
			if !near.die(syscall.ECONNREFUSED) {
				return Ignored, nil
			}
			return Delivered, nil
		},
	})
}
