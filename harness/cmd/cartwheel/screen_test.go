package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/runner"
)

func snapshot() runner.Progress {
	return runner.Progress{
		Phase: harness.Load, Elapsed: 10 * time.Second, Remaining: 20 * time.Second, OpsPerSecond: 114,
		OK: 90, Fail: 8, Info: 2,
		Active: []harness.Fault{
			{ID: "f1", Kind: "partition", Name: "halves", Nodes: []harness.NodeID{"n1", "n2"}},
			{ID: "f2", Kind: "pause", Name: "one", Nodes: []harness.NodeID{"n4"}},
		},
	}
}

// A log gets a line every five seconds, a line when the phase changes, and every note.
func TestLogGetsALineNowAndThen(t *testing.T) {
	var buf bytes.Buffer
	clock := time.Unix(0, 0)
	s := &screen{w: &buf, now: func() time.Time { return clock }}
	for range 20 {
		clock = clock.Add(500 * time.Millisecond)
		s.progress(snapshot())
	}
	noted := snapshot()
	noted.Note = "f1 healed: partition halves"
	s.progress(noted)
	settled := snapshot()
	settled.Phase, settled.Active = harness.Settle, nil
	s.progress(settled)
	want := []string{
		"load 10s, at most 20s to go: 100 (114/s), 90.0% ok, 8 fail, 2 info; in force: f1 partition halves n1 n2; f2 pause one n4",
		"load 10s, at most 20s to go: 100 (114/s), 90.0% ok, 8 fail, 2 info; in force: f1 partition halves n1 n2; f2 pause one n4",
		"  f1 healed: partition halves",
		"settle 10s, at most 20s to go: 100 (114/s), 90.0% ok, 8 fail, 2 info",
	}
	if got := strings.Split(strings.TrimRight(buf.String(), "\n"), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(buf.String(), "\x1b") {
		t.Error("escape sequences without a terminal")
	}
}

// play does what a terminal does with the few sequences that a screen uses, and
// returns what can be seen in the end.
func play(t *testing.T, text string) []string {
	t.Helper()
	var rows []string
	for text != "" {
		if strings.HasPrefix(text, "\x1b[") {
			n, rest := 0, text[2:]
			for rest[0] >= '0' && rest[0] <= '9' {
				n, rest = 10*n+int(rest[0]-'0'), rest[1:]
			}
			if !strings.HasPrefix(rest, "A\r\x1b[J") || n > len(rows) {
				t.Fatalf("unexpected sequence %q with %d rows", text[:min(12, len(text))], len(rows))
			}
			rows, text = rows[:len(rows)-n], rest[len("A\r\x1b[J"):]
			continue
		}
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			t.Fatalf("a line without end: %q", text)
		}
		rows, text = append(rows, line), rest
	}
	return rows
}

func TestTerminalShowsOneBlockBelowTheNotes(t *testing.T) {
	var buf bytes.Buffer
	s := &screen{w: &buf, now: time.Now, width: func() int { return 60 }}
	s.note("building the store's image")
	for range 3 {
		s.progress(snapshot())
	}
	noted := snapshot()
	noted.Note = "f1 struck: partition halves"
	s.progress(noted)
	if n, err := s.Write([]byte("level=WARN msg=slow\n")); n == 0 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := s.above(func() error { buf.WriteString("the plan\n"); return nil }); err != nil {
		t.Fatal(err)
	}
	rows := play(t, buf.String())
	want := []string{"  building the store's image", "  f1 struck: partition halves", "level=WARN msg=slow", "the plan"}
	if len(rows) != len(want)+3 || strings.Join(rows[:len(want)], "\n") != strings.Join(want, "\n") {
		t.Fatalf("got rows %q, want %q and a block of three", rows, want)
	}
	for _, r := range rows {
		if n := len([]rune(r)); n >= 60 {
			t.Errorf("got a row of %d characters on a terminal of 60: it would wrap", n)
		}
	}
	if block := rows[len(want):]; !strings.Contains(block[0], "██████████░") || !strings.Contains(block[1], "90.0% ok") || !strings.Contains(block[2], "f1 partition") {
		t.Errorf("got block %q", block)
	}
	s.close()
	s.progress(snapshot())
	if rows := play(t, buf.String()); len(rows) != len(want) {
		t.Errorf("got %q after close, want the notes alone", rows)
	}
}

func TestAboveReturnsTheError(t *testing.T) {
	s := &screen{w: new(bytes.Buffer), now: time.Now}
	want := errors.New("no")
	if got := s.above(func() error { return want }); !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
