package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Skew is how a clock is wrong since some instant of its base. The zero Skew is a clock
// that is right.
type Skew struct {
	Offset time.Duration // ahead by this much, or behind if negative
	Drift  float64       // seconds gained each second; -1: it stands still
	Strobe time.Duration // wrong for so long, then right for so long, and so on; 0: always wrong
	Since  time.Time     // by the base
}

// At is by how much the clock is ahead at an instant of its base.
func (s Skew) At(base time.Time) time.Duration {
	since := base.Sub(s.Since)
	if s.Strobe > 0 && since/s.Strobe%2 == 1 {
		return 0
	}
	return s.Offset + time.Duration(s.Drift*float64(since))
}

// String is the skew's text, see [ParseSkew].
func (s Skew) String() string {
	return fmt.Sprintf("offset=%s drift=%g strobe=%s since=%d", s.Offset, s.Drift, s.Strobe, s.Since.UnixNano())
}

// ParseSkew reads "offset=1m0s drift=0.5 strobe=2s since=1763863200000000000", the last in
// Unix nanoseconds. What is left out is zero.
func ParseSkew(text string) (Skew, error) {
	var s Skew
	var errs []error
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "offset":
			s.Offset, err = time.ParseDuration(value)
		case "drift":
			s.Drift, err = strconv.ParseFloat(value, 64)
		case "strobe":
			s.Strobe, err = time.ParseDuration(value)
		case "since":
			var nanos int64
			nanos, err = strconv.ParseInt(value, 10, 64)
			s.Since = time.Unix(0, nanos)
		default:
			err = errors.New("want offset, drift, strobe or since")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("skew %q: %w", word, err))
		}
	}
	return s, errors.Join(errs...)
}

// A Followed clock is wrong as the text of a file says, from the moment that the file is
// there, and right without one. It reads the file each time it is asked: it is meant for
// experiments, and the time of day is asked for once a write.
type Followed struct {
	Base Clock
	File string
}

// Now returns the base's time with the file's skew. A file that cannot be read or
// understood skews nothing; [Followed.Check] says why.
func (f *Followed) Now() time.Time {
	now := f.Base.Now()
	s, err := f.read()
	if err != nil || s == (Skew{}) {
		return now
	}
	return now.Add(s.At(now))
}

// Check reports what is wrong with the file. That there is none is no error.
func (f *Followed) Check() error {
	_, err := f.read()
	return err
}

func (f *Followed) read() (Skew, error) {
	text, err := os.ReadFile(f.File)
	if errors.Is(err, fs.ErrNotExist) {
		return Skew{}, nil
	}
	if err != nil {
		return Skew{}, fmt.Errorf("clock: %w", err)
	}
	s, err := ParseSkew(string(text))
	if err != nil {
		return Skew{}, fmt.Errorf("clock: %s: %w", f.File, err)
	}
	return s, nil
}
