package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAFollowedClockIsWrongAsItsFileSays(t *testing.T) {
	begun := time.Unix(1000, 0)
	file := filepath.Join(t.TempDir(), "skew")
	now := func(after time.Duration) time.Duration {
		base := begun.Add(after)
		return (&Followed{Base: fixed(base), File: file}).Now().Sub(base)
	}
	if got := now(time.Hour); got != 0 {
		t.Errorf("without a file: got %s ahead", got)
	}
	for _, c := range []struct {
		text string
		at   time.Duration
		want time.Duration
		bad  bool
	}{
		{text: "", want: 0},
		{text: "offset=1m", at: time.Hour, want: time.Minute},
		{text: "offset=-1m since=1000000000000\n", at: 0, want: -time.Minute},
		{text: "drift=0.5 since=1000000000000", at: 10 * time.Second, want: 5 * time.Second},
		{text: "drift=-1 since=1000000000000", at: 10 * time.Second, want: -10 * time.Second},
		{text: "offset=1m strobe=1s since=1000000000000", at: 4500 * time.Millisecond, want: time.Minute},
		{text: "offset=1m strobe=1s since=1000000000000", at: 5500 * time.Millisecond, want: 0},
		{text: "offset=1m drift=much", at: time.Hour, want: 0, bad: true},
		{text: "ahead=1m", want: 0, bad: true},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := now(c.at); got != c.want {
			t.Errorf("%q after %s: got %s ahead, want %s", c.text, c.at, got, c.want)
		}
		if err := (&Followed{Base: System, File: file}).Check(); (err != nil) != c.bad {
			t.Errorf("%q: got %v, want an error: %v", c.text, err, c.bad)
		}
	}
}

func TestASkewsTextSaysItAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Skew{
			Offset: time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "offset")),
			Drift:  rapid.Float64Range(-1, 1000).Draw(t, "drift"),
			Strobe: time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "strobe")),
			Since:  time.Unix(0, rapid.Int64Range(0, 1e18).Draw(t, "since")),
		}
		got, err := ParseSkew(want.String())
		if err != nil || !got.Since.Equal(want.Since) || got.Offset != want.Offset || got.Drift != want.Drift || got.Strobe != want.Strobe {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}
