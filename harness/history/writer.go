package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cartwheel/harness"
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("history: journal is closed")

// A Writer appends operations to a journal. It is safe for concurrent use; the order
// of Append calls is the order of the history.
type Writer struct {
	now func() time.Duration

	mu     sync.Mutex // held over the write: a line must not overtake an earlier one
	out    *bufio.Writer
	enc    *json.Encoder
	closer io.Closer // nil when the destination is the caller's
	sync   func() error
	next   int
	last   time.Duration
	err    error // the first failed write; the journal has a hole from there on
}

// NewWriter writes to w, which stays the caller's to close. The time since the run
// began is asked from now for every line.
func NewWriter(w io.Writer, now func() time.Duration) *Writer {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &Writer{now: now, out: out, enc: enc, sync: func() error { return nil }}
}

// Create writes to a new file, which Close syncs and closes. It refuses to overwrite
// an older history. A copy of every byte goes to also, unless it is nil.
func Create(path string, also io.Writer, now func() time.Duration) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create history: %w", err)
	}
	var dst io.Writer = f
	if also != nil {
		dst = io.MultiWriter(f, also)
	}
	w := NewWriter(dst, now)
	w.closer, w.sync = f, f.Sync
	return w, nil
}

// Append gives op the next index and the present time, never earlier than that of
// the line before, writes it and hands it to the operating system. It returns the op
// as written. After a failed write every Append fails: a history with a hole would
// be judged as if nothing had happened there.
func (w *Writer) Append(op harness.Op) (harness.Op, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return op, w.err
	}
	op.Index = w.next
	op.Time = max(w.now(), w.last)
	err := w.enc.Encode(op)
	if err == nil {
		err = w.out.Flush()
	}
	if err != nil {
		w.err = fmt.Errorf("write history line %d: %w", w.next+1, err)
		return op, w.err
	}
	w.next++
	w.last = op.Time
	return op, nil
}

// Len is the number of lines written.
func (w *Writer) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// Close makes the journal durable. It is idempotent.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	err := w.err
	w.err = ErrClosed
	if serr := w.sync(); serr != nil {
		err = errors.Join(err, fmt.Errorf("sync history: %w", serr))
	}
	if w.closer != nil {
		if cerr := w.closer.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close history: %w", cerr))
		}
	}
	return err
}
