package trunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store/storepb"
)

const (
	requestSizeBytesMax = 64 << 10 // of what shares a stream: a large request would hold up those behind it
	callsMax            = 1024     // out at a time on one line; more go as ordinary calls

	againAfter   = 500 * time.Millisecond // between a stream's end and the next attempt
	unknownAfter = 30 * time.Second       // the same, if the other node does not know of streams
)

// A Connection is what a line needs of a *grpc.ClientConn.
type Connection interface {
	grpc.ClientConnInterface
	io.Closer
}

// LineOptions are the options of a [Line].
type LineOptions struct {
	Conn    Connection   // which the line closes; required
	Methods []string     // "/service/method": those that go by the stream; required
	Logger  *slog.Logger // default discards
}

// A Line is the caller's side of a connection.
type Line struct {
	Connection
	log     *slog.Logger
	methods map[string]bool

	ctx    context.Context // of the stream
	cancel context.CancelFunc
	work   sync.WaitGroup
	wanted chan struct{} // one message while a call misses the stream
	now    atomic.Pointer[stream]
}

// Start returns a line. It opens its stream when the first call would have used it.
func Start(o LineOptions) *Line {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Line{Connection: o.Conn, log: o.Logger.With("component", "trunk"), methods: map[string]bool{}, wanted: make(chan struct{}, 1)}
	for _, m := range o.Methods {
		l.methods[m] = true
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.work.Go(l.run)
	return l
}

// Close ends the stream and closes the connection. Calls under way fail.
func (l *Line) Close() error {
	l.cancel()
	l.work.Wait()
	return l.Connection.Close()
}

// Invoke makes a call, by the stream if it can.
func (l *Line) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if l.methods[method] && plain(opts) {
		if handled, err := l.invoke(ctx, method, args, reply); handled {
			return err
		}
	}
	return l.Connection.Invoke(ctx, method, args, reply, opts...)
}

// plain reports whether no option says how to call, as is so for calls of generated code.
func plain(opts []grpc.CallOption) bool {
	for _, o := range opts {
		if _, ok := o.(grpc.StaticMethodCallOption); !ok {
			return false
		}
	}
	return true
}

// invoke makes a call by the stream; handled is false if it did not leave.
func (l *Line) invoke(ctx context.Context, method string, args, reply any) (handled bool, err error) {
	s := l.now.Load()
	if s == nil {
		select {
		case l.wanted <- struct{}{}:
		default:
		}
		return false, nil
	}
	request, ok := args.(proto.Message)
	answer, ok2 := reply.(proto.Message)
	if !ok || !ok2 || proto.Size(request) > requestSizeBytesMax {
		return false, nil
	}
	c := &storepb.Call{Method: method, Headers: headers(ctx)}
	if c.Request, err = proto.Marshal(request); err != nil {
		return false, nil // an ordinary call says what is wrong
	}
	if deadline, ok := ctx.Deadline(); ok {
		c.TimeoutNanos = int64(max(time.Until(deadline), 1))
	}
	done, ok := s.begin(c)
	if !ok {
		return false, nil
	}
	select {
	case o := <-done:
		return !o.unsent, o.read(answer)
	case <-ctx.Done():
	}
	if !s.giveUp(c.Number) {
		return false, nil // as an ordinary call it fails at once, and says that it never left
	}
	return true, status.FromContextError(ctx.Err()).Err()
}

// headers are the names and values that go along with a call.
func headers(ctx context.Context) (pairs []string) {
	md, _ := metadata.FromOutgoingContext(ctx)
	for name, values := range md {
		for _, v := range values {
			pairs = append(pairs, name, v)
		}
	}
	return pairs
}

// run keeps a stream open, once it was wanted.
func (l *Line) run() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.wanted:
		}
		err := l.carry()
		pause := againAfter
		if status.Code(err) == codes.Unimplemented {
			pause = unknownAfter
		}
		l.log.Debug("stream ended", "err", err)
		wait := time.NewTimer(pause)
		select {
		case <-l.ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// carry opens a stream and returns why it ended.
func (l *Line) carry() error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	conn, err := storepb.NewTrunkClient(l.Connection).Carry(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Recv(); err != nil { // the server's first batch says that it takes calls
		return err
	}
	s := &stream{box: newOutbox(), calls: map[uint64]chan outcome{}}
	closing := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		if s.box.run(closing, conn.Send) == nil {
			_ = conn.CloseSend() // always nil
		}
	})
	l.now.Store(s)
	for err == nil {
		var b *storepb.Batch
		if b, err = conn.Recv(); err != nil {
			break
		}
		s.deliver(b.GetAnswers())
		if b.GetClosing() && l.now.CompareAndSwap(s, nil) {
			s.refuse()
			close(closing)
		}
	}
	if l.now.CompareAndSwap(s, nil) {
		close(closing)
	}
	cancel()
	sending.Wait()
	s.end(err)
	return err
}

// A stream is one that takes calls, or has taken some.
type stream struct {
	box *outbox

	mu      sync.Mutex
	calls   map[uint64]chan outcome // without an answer
	last    uint64
	refuses bool
}

// An outcome is what became of a call.
type outcome struct {
	answer *storepb.Answer
	unsent bool  // nobody has seen the call
	err    error // otherwise, without an answer
}

// read turns an answer into what the call returns.
func (o outcome) read(reply proto.Message) error {
	switch {
	case o.answer == nil:
		return o.err
	case len(o.answer.GetStatus()) > 0:
		st := &spb.Status{}
		if err := proto.Unmarshal(o.answer.GetStatus(), st); err != nil {
			return status.Errorf(codes.Internal, "status of an answer: %v", err)
		}
		return status.ErrorProto(st)
	}
	if err := proto.Unmarshal(o.answer.GetReply(), reply); err != nil {
		return status.Errorf(codes.Internal, "reply: %v", err)
	}
	return nil
}

// begin sends a call, unless the stream takes no more.
func (s *stream) begin(c *storepb.Call) (done chan outcome, ok bool) {
	done = make(chan outcome, 1)
	s.mu.Lock()
	if s.refuses || len(s.calls) >= callsMax {
		s.mu.Unlock()
		return nil, false
	}
	s.last++
	c.Number = s.last
	s.calls[c.Number] = done
	s.mu.Unlock()
	if !s.box.add(entry{call: c}) {
		return done, s.forget(c.Number) == nil // end has told it, or will not
	}
	return done, true
}

// forget takes a call from those that are out; nil: it is not among them.
func (s *stream) forget(number uint64) chan outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.calls[number]
	delete(s.calls, number)
	return done
}

// giveUp ends a call whose answer is not wanted any more, and reports whether it was sent.
func (s *stream) giveUp(number uint64) (sent bool) {
	if s.box.remove(number) {
		s.forget(number)
		return false
	}
	if s.forget(number) != nil {
		s.box.add(entry{givenUp: number})
	}
	return true
}

func (s *stream) deliver(answers []*storepb.Answer) {
	for _, a := range answers {
		if done := s.forget(a.GetNumber()); done != nil {
			done <- outcome{answer: a}
		}
	}
}

// refuse takes no more calls.
func (s *stream) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = true
}

// end tells all that are out that there will be no answer.
func (s *stream) end(err error) {
	s.refuse()
	for _, e := range s.box.close() {
		if e.call == nil {
			continue
		}
		if done := s.forget(e.call.GetNumber()); done != nil {
			done <- outcome{unsent: true}
		}
	}
	if code := status.Code(err); errors.Is(err, io.EOF) || code != codes.Canceled {
		err = status.Error(codes.Unavailable, fmt.Sprintf("stream to the node ended: %v", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, done := range s.calls {
		done <- outcome{err: err}
		delete(s.calls, number)
	}
}
