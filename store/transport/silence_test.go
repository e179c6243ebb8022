package transport

import "testing"

func TestCallsOfASilentPeerAreWastedUntilItAnswers(t *testing.T) {
	var s Silence
	call := func(answered bool) {
		s.begin("n2")
		s.Ended("n2", answered)
	}
	for range silenceMax {
		call(false)
	}
	if got := s.Wasted(); got != 0 {
		t.Errorf("%d of the first %d calls were wasted, want none: somebody had to find out", got, silenceMax)
	}
	for range 3 {
		call(false)
	}
	if got := s.Wasted(); got != 3 {
		t.Errorf("%d calls were wasted on a peer that was silent, want 3", got)
	}
	s.Ended("n2", true) // a probe was answered
	call(false)
	s.begin("n3")
	if got := s.Wasted(); got != 3 {
		t.Errorf("%d calls were wasted, want 3: n2 has answered, and n3 was never silent", got)
	}
}
