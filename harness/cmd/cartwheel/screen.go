package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"cartwheel/harness"
	"cartwheel/harness/runner"
)

// lineEvery is how often a log that is no terminal gets a line of progress.
const lineEvery = 5 * time.Second

// A screen shows how a run goes: on a terminal as one block that is drawn over and
// over, elsewhere as a line every few seconds. What else is to be seen, notes and log
// lines, appears above the block. It is safe for concurrent use.
type screen struct {
	w     io.Writer
	width func() int // of the terminal; nil if it is none
	now   func() time.Time

	mu     sync.Mutex
	block  []string // drawn at present
	last   time.Time
	phase  harness.Phase
	closed bool
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, now: time.Now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width < 20 {
				return 80
			}
			return width
		}
	}
	return s
}

// progress shows a snapshot.
func (s *screen) progress(p runner.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Note != "" {
		s.print("  " + p.Note + "\n")
	}
	if s.width != nil {
		s.draw(block(p))
		return
	}
	if p.Note == "" && (s.now().Sub(s.last) >= lineEvery || p.Phase != s.phase) {
		s.last, s.phase = s.now(), p.Phase
		s.print(line(p) + "\n")
	}
}

func (s *screen) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print("  " + text + "\n")
}

// Write puts log lines above the block. It expects whole lines.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(string(b))
	return len(b), nil
}

// above lets f write to the same terminal by another way, while the block is away.
func (s *screen) above(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.block
	s.draw(nil)
	err := f()
	s.draw(old)
	return err
}

// close takes the block away. Later snapshots are not shown.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw(nil)
	s.closed = true
}

// print writes text above the block; the caller holds the lock.
func (s *screen) print(text string) {
	old := s.block
	s.draw(nil)
	_, _ = io.WriteString(s.w, text) // a terminal that is gone is no reason to stop
	s.draw(old)
}

// draw replaces the block; the caller holds the lock.
func (s *screen) draw(lines []string) {
	if s.width == nil || s.closed || len(lines) == 0 && len(s.block) == 0 {
		return
	}
	var b strings.Builder
	if n := len(s.block); n > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", n) // to the block's first line, and clear from there
	}
	width := s.width()
	for _, l := range lines {
		b.WriteString(clip(l, width-1) + "\n") // a line that wraps would be two
	}
	s.block = lines
	_, _ = io.WriteString(s.w, b.String())
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// block is a snapshot in three lines.
func block(p runner.Progress) []string {
	const cells = 30
	total := p.Elapsed + p.Remaining
	full := 0
	if total > 0 {
		full = min(cells, int(cells*p.Elapsed/total))
	}
	bar := strings.Repeat("█", full) + strings.Repeat("░", cells-full)
	faults := "none"
	if len(p.Active) > 0 {
		faults = active(p.Active)
	}
	return []string{
		fmt.Sprintf(" %-7s %s %s, at most %s to go", p.Phase, bar, round(p.Elapsed), round(p.Remaining)),
		fmt.Sprintf(" ops     %s", counts(p)),
		fmt.Sprintf(" faults  %s", faults),
	}
}

// line is a snapshot for a log.
func line(p runner.Progress) string {
	s := fmt.Sprintf("%s %s, at most %s to go: %s", p.Phase, round(p.Elapsed), round(p.Remaining), counts(p))
	if len(p.Active) > 0 {
		s += "; in force: " + active(p.Active)
	}
	return s
}

func counts(p runner.Progress) string {
	total := p.OK + p.Fail + p.Info
	if total == 0 {
		return "none yet"
	}
	return fmt.Sprintf("%d (%.0f/s), %.1f%% ok, %d fail, %d info", total, p.OpsPerSecond, 100*float64(p.OK)/float64(total), p.Fail, p.Info)
}

func active(faults []harness.Fault) string {
	words := make([]string, len(faults))
	for i, f := range faults {
		words[i] = strings.TrimSpace(f.ID + " " + f.Kind + " " + f.Name)
		for _, n := range f.Nodes {
			words[i] += " " + string(n)
		}
	}
	return strings.Join(words, "; ")
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }
