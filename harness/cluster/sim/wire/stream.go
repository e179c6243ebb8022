package wire

import (
	"errors"
	"sync"

	"google.golang.org/grpc/metadata"
)

// A stream lets a handler send metadata back, by grpc.SetHeader and its like.
type stream struct {
	method string

	mu              sync.Mutex
	sent            bool // the header left; more comes too late
	header, trailer metadata.MD
}

var errHeaderSent = errors.New("the header was sent already")

func (s *stream) Method() string { return s.method }

func (s *stream) SetHeader(md metadata.MD) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent {
		return errHeaderSent
	}
	s.header = metadata.Join(s.header, md)
	return nil
}

// SendHeader only closes the header: a unary call's header travels with its reply.
func (s *stream) SendHeader(md metadata.MD) error {
	err := s.SetHeader(md)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = true
	return err
}

func (s *stream) SetTrailer(md metadata.MD) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trailer = metadata.Join(s.trailer, md)
	return nil
}

func (s *stream) metadata() (header, trailer metadata.MD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header, s.trailer
}
