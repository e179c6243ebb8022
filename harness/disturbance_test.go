package harness

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func aShape(t *rapid.T, name string) Shape {
	chance := rapid.Float64Range(0, 1)
	return Shape{
		Delay:  time.Duration(rapid.Int64Range(0, 1e9).Draw(t, name)),
		Loss:   chance.Draw(t, name),
		Rate:   rapid.Int64Range(0, 3).Draw(t, name),
		Jitter: time.Duration(rapid.Int64Range(0, 2).Draw(t, name)),
	}
}

// TestShapingsMayComeInAnyOrder: which fault came first cannot matter, and one that does
// nothing changes nothing.
func TestShapingsMayComeInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := aShape(t, "a"), aShape(t, "b")
		both := a.With(b)
		if other := b.With(a); math.Abs(other.Loss-both.Loss) > 1e-12 || other.Delay != both.Delay || other.Rate != both.Rate {
			t.Fatalf("%+v, the other way round %+v", both, other)
		}
		if a.With(Shape{}) != a || (Shape{}).With(a) != a {
			t.Fatalf("nothing changed %+v", a)
		}
		if both.Loss > 1 || both.Loss < max(a.Loss, b.Loss)-1e-12 || both.Delay != a.Delay+b.Delay {
			t.Fatalf("%+v and %+v make %+v", a, b, both)
		}
		for _, r := range []int64{a.Rate, b.Rate} {
			if r > 0 && (both.Rate == 0 || both.Rate > r) {
				t.Fatalf("rates %d and %d make %d", a.Rate, b.Rate, both.Rate)
			}
		}
	})
}

func TestASkewedClockIsWrongAsTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		skew  Skew
		since time.Duration
		want  time.Duration
	}{
		{"ahead", Skew{Offset: time.Minute}, time.Hour, time.Minute},
		{"behind", Skew{Offset: -time.Minute}, 0, -time.Minute},
		{"drifting", Skew{Drift: 0.5}, 10 * time.Second, 5 * time.Second},
		{"frozen", Skew{Drift: -1}, 10 * time.Second, -10 * time.Second},
		{"strobe, wrong", Skew{Offset: time.Minute, Strobe: time.Second}, 4500 * time.Millisecond, time.Minute},
		{"strobe, right", Skew{Offset: time.Minute, Strobe: time.Second}, 5500 * time.Millisecond, 0},
	} {
		if got := c.skew.At(c.since); got != c.want || c.skew.Valid() != nil {
			t.Errorf("%s: got %v, want %v; valid: %v", c.name, got, c.want, c.skew.Valid())
		}
	}
}

func TestDisturbancesSayWhatTheyDoAndWhatIsWrong(t *testing.T) {
	type disturbance interface{ Valid() error }
	for _, bad := range []disturbance{
		Shape{},
		Shape{Loss: 1.5},
		Shape{Delay: -1},
		Shape{Corrupt: math.NaN()},
		Shape{Rate: -1},
		Skew{},
		Skew{Strobe: 1},
		Skew{Drift: -2},
		Skew{Drift: math.NaN()},
		DiskFault{},
		DiskFault{Slow: -1},
		DiskFault{WriteErrors: 2},
	} {
		if bad.Valid() == nil {
			t.Errorf("%+v is taken for valid", bad)
		}
	}
	s := Shape{Delay: 1, Jitter: 1, Loss: 1, Duplicate: 1, Reorder: 1, Corrupt: 1, Rate: 1}
	if want := []string{"delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate"}; !slices.Equal(s.Does(), want) || s.Valid() != nil {
		t.Errorf("got %v, %v", s.Does(), s.Valid())
	}
	f := DiskFault{Slow: 1, ReadErrors: 1, WriteErrors: 1, Full: true, ReadOnly: true}
	if want := []string{"slow", "read-errors", "write-errors", "full", "read-only"}; !slices.Equal(f.Does(), want) || f.Valid() != nil || !f.Fails() {
		t.Errorf("got %v, %v", f.Does(), f.Valid())
	}
	if (DiskFault{Slow: 1}).Fails() {
		t.Error("a slow disk is said to fail")
	}
}
