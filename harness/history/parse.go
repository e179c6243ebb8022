package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"cartwheel/harness"
)

// required are the fields without which a line says nothing: a process that is left out
// by mistake would be taken for process 0.
var required = []string{"index", "time", "process", "kind", "f"}

// known are all fields of a line.
var known = func() (names []string) {
	t := reflect.TypeFor[harness.Op]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}()

// parse reads a line. What the plain reader does not understand at once is left to
// encoding/json, which decides what a line means and says what is wrong.
func (w *words) parse(line []byte) (harness.Op, error) {
	p := plain{text: line, words: w}
	var op harness.Op
	if p.op(&op) {
		return op, nil
	}
	return parseAny(line)
}

// parseAny is stricter than encoding/json by itself: fields are known, spelled right and
// set once, those that are required are there, and text is UTF-8. Bytes that are not
// would be replaced, and two values become one.
func parseAny(line []byte) (harness.Op, error) {
	var op harness.Op
	if !utf8.Valid(line) {
		return op, errors.New("not an operation: it is not UTF-8")
	}
	if err := fields(line); err != nil {
		return op, err
	}
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&op); err != nil {
		return harness.Op{}, readable(err)
	}
	return op, nil
}

// fields checks the names of a line's fields.
func fields(line []byte) error {
	in := json.NewDecoder(bytes.NewReader(line))
	if t, err := in.Token(); err != nil {
		return readable(err)
	} else if t != json.Delim('{') {
		return errors.New("not an operation: want a JSON object")
	}
	var seen []string
	for in.More() {
		t, err := in.Token()
		if err != nil {
			return readable(err)
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return readable(err)
		}
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("not an operation: there is no field %q; docs/HISTORY.md lists them", name)
		case slices.Contains(seen, name):
			return fmt.Errorf("not an operation: field %q is set twice", name)
		case string(value) == "null":
			continue // not set
		}
		seen = append(seen, name)
	}
	if _, err := in.Token(); err != nil {
		return readable(err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not an operation: something follows the object; each needs a line of its own")
	}
	for _, name := range required {
		if !slices.Contains(seen, name) {
			return fmt.Errorf("not an operation: field %q is missing", name)
		}
	}
	return nil
}

// readable puts an error of encoding/json into words about the line, not about Go.
func readable(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("not an operation: field %q holds a %s, want a %s: %w", wrong.Field, wrong.Value, wrong.Type.Kind(), err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not an operation: it ends too early") // not io.EOF, which would be the end of the history
	}
	return fmt.Errorf("not an operation: %w", err)
}
