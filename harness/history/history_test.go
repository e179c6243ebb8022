package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
)

func ticking(step time.Duration) func() time.Duration {
	var mu sync.Mutex
	var t time.Duration
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		t += step
		return t
	}
}

func TestWriterNumbersLinesAndNeverGoesBackInTime(t *testing.T) {
	times := []time.Duration{5, 3, 9}
	var buf bytes.Buffer
	w := NewWriter(&buf, func() time.Duration { d := times[0]; times = times[1:]; return d })
	for range 3 {
		if _, err := w.Append(harness.Op{Kind: harness.Invoke, F: harness.Get}); err != nil {
			t.Fatal(err)
		}
	}
	ops, notes, err := Read(&buf)
	if err != nil || len(notes) != 0 {
		t.Fatalf("read: %v, notes %v", err, notes)
	}
	for i, want := range []time.Duration{5, 5, 9} {
		if ops[i].Index != i || ops[i].Time != want {
			t.Errorf("line %d: index %d time %d, want index %d time %d", i, ops[i].Index, ops[i].Time, i, want)
		}
	}
}

func TestEveryLineIsInTheFileWhenAppendReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	var also bytes.Buffer
	w, err := Create(path, &also, ticking(1))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if _, err := w.Append(harness.Op{Kind: harness.Invoke, F: harness.Put, Key: "k", Value: "<a&b>"}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(data, []byte("\n")); got != n {
			t.Fatalf("after %d appends the file has %d lines", n, got)
		}
		if !bytes.Contains(data, []byte("<a&b>")) {
			t.Fatalf("value is not readable in the file: %s", data)
		}
		if !bytes.Equal(data, also.Bytes()) {
			t.Fatalf("copy differs: %q, file %q", also.Bytes(), data)
		}
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatalf("close twice: %v", err)
	}
	if _, err := w.Append(harness.Op{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v, want ErrClosed", err)
	}
	if _, err := Create(path, nil, ticking(1)); !errors.Is(err, os.ErrExist) {
		t.Fatalf("create over an old history: %v, want an error", err)
	}
}

type brokenDisk struct{ left int }

func (b *brokenDisk) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestAFailedWriteIsNotForgotten(t *testing.T) {
	w := NewWriter(&brokenDisk{left: 100}, ticking(1))
	var first error
	for first == nil {
		_, first = w.Append(harness.Op{Kind: harness.Invoke, F: harness.Get})
	}
	if _, err := w.Append(harness.Op{}); err == nil {
		t.Error("append after a failed write succeeded: the history has a hole")
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("close: %v, want the disk's error", err)
	}
}

func TestConcurrentAppendsMakeOneOrder(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf, ticking(1))
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for range 50 {
				for _, k := range []harness.Kind{harness.Invoke, harness.OK} {
					if _, err := w.Append(harness.Op{Process: p, Kind: k, F: harness.Get}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	ops, _, err := Read(&buf)
	if err != nil || len(ops) != 800 || w.Len() != 800 {
		t.Fatalf("read %d ops, wrote %d, err %v", len(ops), w.Len(), err)
	}
	if err := Validate(ops); err != nil {
		t.Fatal(err)
	}
}

func TestReadForgivesOnlyALineCutShortAtTheEnd(t *testing.T) {
	const good = `{"index":0,"time":1,"process":0,"kind":"invoke","f":"get"}` + "\n"
	for _, tt := range []struct {
		name, in  string
		ops       int
		notes     int
		wantError string
	}{
		{name: "empty", in: ""},
		{name: "one line", in: good, ops: 1},
		{name: "no newline at the end", in: strings.TrimSpace(good), ops: 1},
		{name: "cut short", in: good + good[:20], ops: 1, notes: 1},
		{name: "blank lines", in: "\n" + good + "\n", ops: 1},
		{name: "garbage inside", in: good + "nonsense\n" + good, ops: 1, wantError: "line 2"},
		{name: "garbage at the end, with newline", in: good + "{\n", ops: 1, wantError: "line 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ops, notes, err := Read(strings.NewReader(tt.in))
			if (err != nil) != (tt.wantError != "") || err != nil && !strings.Contains(err.Error(), tt.wantError) {
				t.Fatalf("error %v, want %q", err, tt.wantError)
			}
			if len(ops) != tt.ops || len(notes) != tt.notes {
				t.Fatalf("%d ops, notes %q; want %d ops, %d notes", len(ops), notes, tt.ops, tt.notes)
			}
		})
	}
}

// TestReadInvertsWrite is a law: what a checker sees later is what the run recorded.
func TestReadInvertsWrite(t *testing.T) {
	text := rapid.StringMatching(`[ -~äß<>&"\\]{0,12}`)
	op := rapid.Custom(func(t *rapid.T) harness.Op {
		o := harness.Op{
			Process: rapid.IntRange(-2, 9).Draw(t, "process"),
			Kind:    rapid.SampledFrom([]harness.Kind{harness.Invoke, harness.OK, harness.Fail, harness.Info}).Draw(t, "kind"),
			F:       rapid.SampledFrom([]string{harness.Get, harness.Put, "partition"}).Draw(t, "f"),
			Key:     text.Draw(t, "key"), Value: text.Draw(t, "value"), Error: text.Draw(t, "error"),
		}
		if b := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "context"); len(b) > 0 {
			o.Context = b
		}
		if rapid.Bool().Draw(t, "sibs") {
			o.Siblings = []harness.Sibling{{Value: text.Draw(t, "v"), Write: "n1:3"}, {Tombstone: true}}
		}
		if rapid.Bool().Draw(t, "meta") {
			o.Meta = &harness.Meta{Coordinator: "n1", Replies: []harness.Reply{{Node: "n2", State: "ok", RTT: 17}}}
		}
		if rapid.Bool().Draw(t, "fault") {
			o.Fault = &harness.Fault{ID: "f1", Kind: "partition", Start: 3, Links: []harness.Link{{From: "n1", To: "n2"}}}
			o.Evidence = &harness.Evidence{Injected: 4, Problems: []string{text.Draw(t, "problem")}}
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		var buf bytes.Buffer
		w := NewWriter(&buf, ticking(7))
		var want []harness.Op
		for _, o := range rapid.SliceOfN(op, 1, 10).Draw(t, "ops") {
			written, err := w.Append(o)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, written)
		}
		got, notes, err := Read(&buf)
		if err != nil || len(notes) > 0 {
			t.Fatalf("read: %v, notes %v", err, notes)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}
