package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cartwheel/harness"
)

// Read returns the operations of a journal. An error names the line and the reason.
// A last line without its newline that makes no sense is what a killed harness
// leaves behind: it is left out and told in a note.
func Read(r io.Reader) (ops []harness.Op, notes []string, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, rerr := in.ReadBytes('\n')
		if rerr != nil && !errors.Is(rerr, io.EOF) {
			return ops, notes, fmt.Errorf("read history line %d: %w", number, rerr)
		}
		last := rerr != nil
		if text := bytes.TrimSpace(line); len(text) > 0 {
			op, perr := parse(text)
			switch {
			case perr == nil:
				ops = append(ops, op)
			case last:
				notes = append(notes, fmt.Sprintf("line %d is cut short and was left out: %v", number, perr))
			default:
				return ops, notes, fmt.Errorf("history line %d: %w", number, perr)
			}
		}
		if last {
			return ops, notes, nil
		}
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

func parse(line []byte) (harness.Op, error) {
	var op harness.Op
	if err := json.Unmarshal(line, &op); err != nil {
		return op, fmt.Errorf("not an operation: %w", err)
	}
	return op, nil
}
