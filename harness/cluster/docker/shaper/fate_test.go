package shaper

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
)

var peer = netip.MustParseAddr("10.213.0.11")

func TestALinkUnderNoFaultLetsEverythingPass(t *testing.T) {
	s := &state{}
	if err := s.set(map[string][]Fault{"10.213.0.12": {{"f1", harness.Shape{Delay: 1, Duplicate: 1}}}}); err != nil {
		t.Fatal(err)
	}
	if got := s.decide(peer, 0, 100); got != (fate{}) {
		t.Errorf("got %+v, want nothing done", got)
	}
	if err := s.set(map[string][]Fault{"n2": nil}); err == nil {
		t.Error("a link from nowhere was taken")
	}
}

// TestFatesAreWhatTheShapesSay: chances of 0 never strike, those of 1 always do, delays of
// all faults add up, and a fault counts the packets that it did something to.
func TestFatesAreWhatTheShapesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sure := rapid.SampledFrom([]float64{0, 1})
		var faults []Fault
		var want fate
		var least time.Duration
		jitter := false
		hit := map[string]bool{}
		for _, name := range []string{"f1", "f2"} {
			s := harness.Shape{
				Delay:     time.Duration(rapid.IntRange(0, 1000).Draw(t, "delay")),
				Jitter:    time.Duration(rapid.SampledFrom([]int{0, 500}).Draw(t, "jitter")),
				Duplicate: sure.Draw(t, "duplicate"), Reorder: sure.Draw(t, "reorder"), Corrupt: sure.Draw(t, "corrupt"),
				Loss: sure.Draw(t, "loss"), // none of ours
			}
			faults = append(faults, Fault{name, s})
			least += s.Delay
			if s.Reorder == 1 {
				least += overtaken
			}
			jitter = jitter || s.Jitter > 0
			want.copies += int(s.Duplicate)
			want.spoilt = want.spoilt || s.Corrupt == 1
			hit[name] = s.Delay > 0 || s.Duplicate+s.Reorder+s.Corrupt > 0 || s.Jitter > 0
		}
		s := &state{}
		if err := s.set(map[string][]Fault{peer.String(): faults}); err != nil {
			t.Fatal(err)
		}
		got := s.decide(peer, 0, 100)
		most := least
		if jitter {
			most += 2 * 500
		}
		if got.after < least || got.after > most || got.copies != want.copies || got.spoilt != want.spoilt || got.lost {
			t.Fatalf("under %+v: got %+v", faults, got)
		}
		for _, f := range faults {
			if n := s.hit()[peer.String()][f.Name]; f.Shape.Jitter == 0 && (n == 1) != hit[f.Name] {
				t.Fatalf("under %+v: %s counts %d", faults, f.Name, n)
			}
		}
	})
}

func TestALimitedLinkIsBookedAheadUntilItIsFull(t *testing.T) {
	s := &state{}
	if err := s.set(map[string][]Fault{peer.String(): {{"f1", harness.Shape{Rate: 1000}}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 21 { // a tenth of a second each, all at once
		got := s.decide(peer, time.Minute, 100)
		if want := time.Duration(i+1) * 100 * time.Millisecond; got.lost || got.after != want {
			t.Fatalf("packet %d: got %+v, want it %s later", i, got, want)
		}
	}
	if got := s.decide(peer, time.Minute, 100); !got.lost {
		t.Errorf("two seconds are booked: got %+v, want it lost", got)
	}
	if got := s.decide(peer, 2*time.Minute, 100); got.lost || got.after != 100*time.Millisecond {
		t.Errorf("a minute later: got %+v, want the link free again", got)
	}
	if got := s.hit()[peer.String()]["f1"]; got != 23 {
		t.Errorf("got %d packets counted, want 23", got)
	}
	if err := s.set(map[string][]Fault{peer.String(): {{"f1", harness.Shape{Delay: 1}}}}); err != nil || s.hit()[peer.String()]["f1"] != 23 {
		t.Errorf("a fault that stays lost its count: %v, %v", s.hit(), err)
	}
}

func TestASpoiltPacketDiffersInOneBitBehindItsHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.IntRange(5, 15).Draw(t, "header words")
		packet := rapid.SliceOfN(rapid.Byte(), head*4+1, head*4+50).Draw(t, "packet")
		packet[0] = 0x40 | byte(head)
		got := spoil(packet, rapid.IntRange(0, 1<<20).Draw(t, "bit"))
		bits := 0
		for i := range packet {
			diff := packet[i] ^ got[i]
			if diff != 0 && i < head*4 {
				t.Fatalf("byte %d of a header of %d bytes changed", i, head*4)
			}
			for ; diff != 0; diff &= diff - 1 {
				bits++
			}
		}
		if bits != 1 || len(got) != len(packet) {
			t.Fatalf("%d bits changed, want one", bits)
		}
	})
	for _, short := range [][]byte{nil, {0x45}, append([]byte{0x45}, make([]byte, 19)...)} {
		if got := spoil(short, 7); len(got) != len(short) {
			t.Errorf("%v became %v", short, got)
		}
	}
}

func TestTheSenderIsReadFromTheHeader(t *testing.T) {
	packet := append([]byte{0x45, 11: 0}, 10, 213, 0, 11, 10, 213, 0, 12)
	if got, ok := sender(packet); !ok || got != peer {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, odd := range [][]byte{nil, packet[:19], append([]byte{0x60}, packet[1:]...)} {
		if got, ok := sender(odd); ok {
			t.Errorf("got %v of %v", got, odd)
		}
	}
}
