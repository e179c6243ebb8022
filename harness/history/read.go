package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"cartwheel/harness"
)

// A Reader reads a journal line by line. It holds one line and a bounded table of
// words, however long the journal is. It is not safe for concurrent use.
type Reader struct {
	in    *Lines
	words words
	ops   int
	notes []string
	err   error // what Next returns from now on
}

// NewReader reads from r, which stays the caller's to close.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: NewLines(r)}
}

// Next returns the next operation, and io.EOF after the last. Any other error names the
// line and the reason and is final. Blank lines are passed over. A last line without its
// newline that makes no sense is what a killed writer leaves behind: it is left out and
// told in a note, unless nothing came before it.
func (r *Reader) Next() (harness.Op, error) {
	for r.err == nil {
		line, err := r.in.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			r.err = fmt.Errorf("history line %d: %w", r.in.Number(), err)
			break
		}
		r.err = err // io.EOF comes with the last line
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			continue
		}
		op, perr := r.words.parse(text)
		switch {
		case perr == nil:
			r.ops++
			return op, nil
		case err != nil && r.ops > 0:
			r.notes = append(r.notes, fmt.Sprintf("line %d is cut short and was left out: %v", r.in.Number(), perr))
		default:
			r.err = fmt.Errorf("history line %d: %w", r.in.Number(), perr)
		}
	}
	return harness.Op{}, r.err
}

// Notes are sentences on what was left out, complete after Next returned io.EOF.
func (r *Reader) Notes() []string { return r.notes }

// Read returns the operations of a journal, by a [Reader]. After an error those before
// the line concerned are returned.
func Read(r io.Reader) (ops []harness.Op, notes []string, err error) {
	in := NewReader(r)
	for {
		op, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return ops, in.Notes(), nil
		case err != nil:
			return ops, in.Notes(), err
		}
		ops = append(ops, op)
	}
}

// ReadFile reads a journal from a file.
func ReadFile(path string) (ops []harness.Op, notes []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ops, notes, err = Read(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return ops, notes, err
}
