package fate

import (
	"math/bits"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Runs are replayed by later builds: a changed hash would make every recorded seed worthless.
func TestHashesStayTheSame(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"no names", Hash(), 0x2545f4914f6cdd1d},
		{"two names", Hash(1, 2), 0x3c5eb27b520edcdf},
		{"empty bytes", Bytes(nil), 0xffab59ad28f7ac35},
		{"nine bytes", Bytes([]byte("cartwheel")), 0xb208ea64a1b75d56},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

func TestHashTellsOrderAndNumberOfNamesApart(t *testing.T) {
	seen := map[uint64][]uint64{}
	for _, names := range [][]uint64{{}, {0}, {0, 0}, {1}, {1, 0}, {0, 1}, {1, 2}, {2, 1}, {1, 2, 0}} {
		h := Hash(names...)
		if twin, ok := seen[h]; ok {
			t.Errorf("%v and %v have one hash %#x", twin, names, h)
		}
		seen[h] = names
	}
}

func TestOneBitOfANameChangesManyOfTheHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		bit := rapid.IntRange(0, 63).Draw(t, "bit")
		if n := bits.OnesCount64(Hash(a, b) ^ Hash(a^1<<bit, b)); n < 8 || n > 56 {
			t.Fatalf("%d of 64 bits changed", n)
		}
	})
}

func TestStringAndBytesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringN(0, 200, 400).Draw(t, "s")
		if String(s) != Bytes([]byte(s)) {
			t.Fatalf("%q: the string's name differs from its bytes'", s)
		}
		if String(s) == String(s+"\x00") {
			t.Fatalf("%q: a zero byte more is not seen", s)
		}
	})
}

func TestBetweenStaysInsideAndFillsTheRange(t *testing.T) {
	const lo, hi = 500 * time.Microsecond, 5 * time.Millisecond
	var sum time.Duration
	const draws = 10_000
	for i := range uint64(draws) {
		d := Between(lo, hi, Hash(7, i))
		if d < lo || d >= hi {
			t.Fatalf("got %v, want within [%v, %v)", d, lo, hi)
		}
		sum += d
	}
	if mean := sum / draws; mean < 2600*time.Microsecond || mean > 2900*time.Microsecond {
		t.Errorf("mean of %d: got %v, want about 2.75ms", draws, mean)
	}
	if got := Between(lo, lo, 99); got != lo {
		t.Errorf("empty range: got %v, want %v", got, lo)
	}
}

func TestChanceIsTheFraction(t *testing.T) {
	hits := 0
	for i := range uint64(10_000) {
		name := Hash(3, i)
		if Chance(0, name) || !Chance(1, name) {
			t.Fatalf("name %#x: 0 must never happen and 1 always", name)
		}
		if Chance(0.25, name) {
			hits++
		}
	}
	if hits < 2300 || hits > 2700 {
		t.Errorf("a chance of 0.25 came true %d times in 10000", hits)
	}
}
