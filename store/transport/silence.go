package transport

import (
	"sync"

	"cartwheel/store"
)

// silenceMax is how many calls of one node may go unanswered in a row before more of them count as wasted: a detector needs two, and
// those that were under way meanwhile may fail between its looks.
const silenceMax = 4

// A Silence counts what a node spends on peers that do not answer. It believes nothing: a detector that is misled is seen by
// what it lets through. The zero value is ready; it is safe for concurrent use.
type Silence struct {
	mu     sync.Mutex // guards what follows, never a wait
	row    map[store.NodeID]int
	wasted uint64
}

// begin is told of each call before it is made.
func (s *Silence) begin(to store.NodeID) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.row[to] >= silenceMax {
		s.wasted++
	}
}

// Ended is told whether a call, or a probe, of a peer was answered.
func (s *Silence) Ended(of store.NodeID, answered bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if answered {
		delete(s.row, of)
		return
	}
	if s.row == nil {
		s.row = map[store.NodeID]int{}
	}
	s.row[of]++
}

// Wasted is how many calls were begun to peers that had not answered the last four, probes not counted. Where this
// node itself never stops it is 0.
func (s *Silence) Wasted() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wasted
}
