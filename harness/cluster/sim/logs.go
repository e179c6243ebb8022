package sim

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// A logBook keeps the newest lines of a log.
type logBook struct {
	bytesMax int // at most this much is kept

	mu      sync.Mutex
	kept    []byte
	dropped int // bytes
}

// Write appends whole lines; slog's handlers write one at a time.
func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, p...)
	if over := len(b.kept) - b.bytesMax; over > 0 {
		cut := over + b.bytesMax/4 // drop seldom, since it copies
		if end := bytes.IndexByte(b.kept[min(cut, len(b.kept)):], '\n'); end >= 0 {
			cut += end + 1
		}
		cut = min(cut, len(b.kept))
		b.kept = append(b.kept[:0], b.kept[cut:]...)
		b.dropped += cut
	}
	return len(p), nil
}

// note adds a line of the simulator's own.
func (b *logBook) note(text string) {
	_, _ = b.Write([]byte("sim: " + text + "\n")) // a log book takes everything
}

// WriteTo copies what is kept.
func (b *logBook) WriteTo(w io.Writer) (int64, error) {
	b.mu.Lock()
	var out []byte
	if b.dropped > 0 {
		out = fmt.Appendf(out, "sim: %d bytes of older lines were dropped\n", b.dropped)
	}
	out = append(out, b.kept...)
	b.mu.Unlock()
	n, err := w.Write(out)
	return int64(n), err
}
