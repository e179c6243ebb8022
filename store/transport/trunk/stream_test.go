package trunk

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store/storepb"
)

func TestWhatGathersSharesABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, over, release := newOutbox(), make(chan struct{}), make(chan struct{})
		var sizes []int
		ended := make(chan error, 1)
		go func() {
			ended <- o.run(over, func(b *storepb.Batch) error {
				sizes = append(sizes, len(b.GetCalls())+len(b.GetGivenUp()))
				<-release
				return nil
			})
		}()
		o.add(entry{call: &storepb.Call{Number: 1}})
		synctest.Wait()
		for n := range uint64(3) {
			o.add(entry{call: &storepb.Call{Number: n + 2}})
		}
		o.add(entry{givenUp: 1})
		for range 2 { // larger together than a batch may be
			o.add(entry{call: &storepb.Call{Request: make([]byte, batchSizeBytes*2/3)}})
		}
		close(over)
		close(release)
		if err := <-ended; err != nil || !slices.Equal(sizes, []int{1, 5, 1}) {
			t.Errorf("batches of %v entries, %v", sizes, err)
		}
	})
}

func TestACallThatWaitsCanBeTakenBack(t *testing.T) {
	s := &stream{box: newOutbox(), calls: map[uint64]chan outcome{}}
	first, second := &storepb.Call{}, &storepb.Call{}
	s.begin(first)
	s.box.take()
	s.begin(second)
	if s.giveUp(second.Number) {
		t.Error("a call that waits counts as sent")
	}
	if !s.giveUp(first.Number) {
		t.Error("a call that was sent counts as taken back")
	}
	if b := s.box.take(); len(b.GetCalls()) != 0 || !slices.Equal(b.GetGivenUp(), []uint64{first.Number}) {
		t.Errorf("sent behind: %v", b)
	}
	if len(s.calls) != 0 {
		t.Errorf("%d calls are still out", len(s.calls))
	}
}

func TestTheEndOfAStreamTellsWhatWasNotSent(t *testing.T) {
	s := &stream{box: newOutbox(), calls: map[uint64]chan outcome{}}
	sent, _ := s.begin(&storepb.Call{})
	s.box.take()
	waits, _ := s.begin(&storepb.Call{})
	s.end(io.EOF)
	if o := <-sent; o.unsent || status.Code(o.read(nil)) != codes.Unavailable {
		t.Errorf("a call that was sent ends with %+v", o)
	}
	if o := <-waits; !o.unsent {
		t.Errorf("a call that was not sent ends with %+v", o)
	}
	if _, ok := s.begin(&storepb.Call{}); ok {
		t.Error("a stream that has ended takes a call")
	}
}

// wire is a stream whose caller sends what it is given.
type wire struct {
	grpc.ServerStream
	ctx  context.Context
	in   []*storepb.Batch
	sent chan *storepb.Batch
}

func (w *wire) Context() context.Context { return w.ctx }

func (w *wire) Recv() (*storepb.Batch, error) {
	if len(w.in) == 0 {
		return nil, io.EOF
	}
	b := w.in[0]
	w.in = w.in[1:]
	return b, nil
}

func (w *wire) Send(b *storepb.Batch) error {
	w.sent <- b
	return nil
}

// echo answers a read with its key.
type echo struct {
	storepb.UnimplementedPeerServer
}

func (echo) ReplicaGet(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	return &storepb.ReplicaGetReply{State: r.GetKey()}, nil
}

// FuzzCarry: whatever a caller sends, each call gets one answer and the stream ends.
func FuzzCarry(f *testing.F) {
	request, err := proto.Marshal(&storepb.ReplicaGetRequest{Key: []byte("milk")})
	if err != nil {
		f.Fatal(err)
	}
	seed, err := proto.Marshal(&storepb.Batch{
		Calls: []*storepb.Call{
			{Number: 1, Method: storepb.Peer_ReplicaGet_FullMethodName, Request: request, Headers: []string{"a", "b", "c"}, TimeoutNanos: int64(time.Hour)},
			{Number: 1, Method: storepb.Peer_ReplicaGet_FullMethodName, Request: []byte{0xff}},
			{Number: 2, Method: "/nobody/knows", TimeoutNanos: -1},
		},
		GivenUp: []uint64{1, 7}, Answers: []*storepb.Answer{{Number: 1}}, Closing: true,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &storepb.Batch{}
		if proto.Unmarshal(data, b) != nil || len(b.GetCalls()) > servedMax {
			return // gRPC ends the stream
		}
		server := grpc.NewServer()
		e := NewExchange(ExchangeOptions{Server: server})
		storepb.RegisterPeerServer(e, echo{})
		w := &wire{ctx: t.Context(), in: []*storepb.Batch{b, b}, sent: make(chan *storepb.Batch, 2*servedMax+2)}
		if err := e.Carry(w); err != nil {
			t.Fatal(err)
		}
		close(w.sent)
		answers := 0
		for b := range w.sent {
			answers += len(b.GetAnswers())
		}
		if want := 2 * len(b.GetCalls()); answers != want {
			t.Errorf("%d answers, want %d", answers, want)
		}
		// And what a server sends, to a caller with one call out.
		s := &stream{box: newOutbox(), calls: map[uint64]chan outcome{}}
		done, _ := s.begin(&storepb.Call{})
		s.deliver(b.GetAnswers())
		s.end(io.EOF)
		_ = (<-done).read(&storepb.ReplicaGetReply{}) // an outcome, whatever it says
	})
}
