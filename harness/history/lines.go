package history

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// LineMax bounds a line in bytes, so that a file that is no history does not fill the memory.
const LineMax = 64 << 20

// Lines reads text line by line and holds one line at a time. It is not safe for
// concurrent use.
type Lines struct {
	in     *bufio.Reader
	long   []byte // a line that did not fit into in's buffer
	number int
}

// NewLines reads from r, which stays the caller's to close.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, 256<<10)} }

// Number is that of the line read last, from 1.
func (l *Lines) Number() int { return l.number }

// Next returns a line with its newline, good until the next call; io.EOF comes with the last
// one. A line longer than LineMax is an error.
func (l *Lines) Next() ([]byte, error) {
	l.number++
	l.long = l.long[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.long) == 0 && !errors.Is(err, bufio.ErrBufferFull) {
			return part, err
		}
		if len(l.long)+len(part) > LineMax {
			return nil, fmt.Errorf("longer than %d MiB: a history has one operation a line, see docs/HISTORY.md", LineMax>>20)
		}
		l.long = append(l.long, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
	}
}
