package edn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"olympos.io/encoding/edn"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Options of a reader.
type Options struct {
	// Independent says that values are [key value] pairs, as Jepsen's independent
	// generators make them. It cannot always be told from a value that is a pair.
	Independent bool
}

// Is reports whether the beginning of a file looks like EDN rather than JSON lines.
func Is(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n,[")
	return bytes.HasPrefix(head, []byte("#")) || bytes.HasPrefix(head, []byte(";")) ||
		bytes.HasPrefix(head, []byte("{")) && bytes.HasPrefix(bytes.TrimLeft(head[1:], " \t"), []byte(":"))
}

// Read returns a history's client operations, numbered anew and in the order of the file. An
// error names the line and the reason. Lines of the nemesis and log lines are left out, and
// so is a last line that was cut short; notes tell of it.
func Read(r io.Reader, o Options) (ops []harness.Op, notes []string, err error) {
	in := history.NewLines(r)
	p := parser{options: o, open: map[int]harness.Op{}}
	for {
		line, rerr := in.Next()
		number := in.Number()
		if rerr != nil && !errors.Is(rerr, io.EOF) {
			return nil, notes, fmt.Errorf("line %d: %w", number, rerr)
		}
		last := rerr != nil
		if perr := p.line(trim(line)); perr != nil {
			if !last || len(p.ops) == 0 {
				return nil, notes, fmt.Errorf("line %d: %w", number, perr)
			}
			notes = append(notes, fmt.Sprintf("line %d is cut short and was left out: %v", number, perr))
		}
		if last {
			break
		}
	}
	if p.skipped > 0 {
		notes = append(notes, fmt.Sprintf("%d lines of the nemesis were left out", p.skipped))
	}
	return p.ops, notes, nil
}

// trim takes off what stands around an operation: blanks, the vector's brackets, and the
// tag of Jepsen's own type.
func trim(line []byte) []byte {
	line = bytes.Trim(line, " \t\r\n,")
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("[")))
	if bytes.HasSuffix(line, []byte("}]")) || bytes.Equal(line, []byte("]")) {
		line = line[:len(line)-1]
	}
	return bytes.TrimPrefix(line, []byte("#jepsen.history.Op"))
}

// raw is a line as EDN. Numbers are pointers where they may be missing.
type raw struct {
	Process any            `edn:"process"`
	Type    edn.Keyword    `edn:"type"`
	F       edn.Keyword    `edn:"f"`
	Value   edn.RawMessage `edn:"value"`
	Key     any            `edn:"key"`
	Time    *int64         `edn:"time"`
	Error   edn.RawMessage `edn:"error"`
}

type parser struct {
	options Options
	ops     []harness.Op
	open    map[int]harness.Op // invocations without a completion, by process
	skipped int
	clock   int64
}

func (p *parser) line(text []byte) error {
	if len(text) == 0 || text[0] == ';' {
		return nil
	}
	var r raw
	if err := edn.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("not an operation: %w", err)
	}
	process, ok := r.Process.(int64)
	if !ok {
		if _, keyword := r.Process.(edn.Keyword); keyword {
			p.skipped++ // :nemesis
			return nil
		}
		return fmt.Errorf("process %v is no number", r.Process)
	}
	if process < 0 {
		return fmt.Errorf("process %d: want a number from 0", process)
	}
	kind := harness.Kind(r.Type)
	if !slices.Contains([]harness.Kind{harness.Invoke, harness.OK, harness.Fail, harness.Info}, kind) {
		return fmt.Errorf("type %v is none of :invoke, :ok, :fail, :info", r.Type)
	}
	p.clock++ // without times the order of lines is all that is known
	if r.Time != nil {
		p.clock = *r.Time
	}
	op := harness.Op{Process: int(process), Kind: kind, Time: time.Duration(p.clock), Index: len(p.ops)}
	if kind == harness.Invoke {
		if err := p.invocation(&op, r); err != nil {
			return err
		}
		p.open[op.Process] = op
	} else if err := p.completion(&op, r); err != nil {
		return err
	}
	p.ops = append(p.ops, op)
	return nil
}

// invocation says what is asked for.
func (p *parser) invocation(op *harness.Op, r raw) error {
	f, value, err := p.call(op, r)
	if err != nil {
		return err
	}
	switch f {
	case "read", "r", "get":
		op.F = harness.Get
	case "write", "w", "put":
		op.F, op.Value, err = harness.Put, "", nil
		op.Value, err = text(value)
	case "cas":
		var pair []edn.RawMessage
		if err = edn.Unmarshal(value, &pair); err != nil || len(pair) != 2 {
			return fmt.Errorf(":cas wants [old new], got %s", value)
		}
		op.F = harness.CAS
		if op.Element, err = text(pair[0]); err == nil {
			op.Value, err = text(pair[1])
		}
	case "add":
		op.F = harness.Add
		op.Element, err = text(value)
	case "append":
		op.F = harness.Append
		op.Element, err = text(value)
	default:
		return fmt.Errorf("function :%s is none of :read, :write, :cas, :add, :append", f)
	}
	return err
}

// call takes a line's function, key and value apart: [key value] pairs of independent
// keys, and transactions of one micro-operation.
func (p *parser) call(op *harness.Op, r raw) (f string, value edn.RawMessage, err error) {
	f, value = string(r.F), r.Value
	if r.Key != nil {
		op.Key = fmt.Sprint(r.Key)
	}
	if p.options.Independent {
		var pair []edn.RawMessage
		if err := edn.Unmarshal(value, &pair); err != nil || len(pair) != 2 {
			return "", nil, fmt.Errorf("independent keys want a value [key value], got %s", value)
		}
		if op.Key, err = text(pair[0]); err != nil {
			return "", nil, err
		}
		value = pair[1]
	}
	if f != "txn" {
		return f, value, nil
	}
	var ops [][]edn.RawMessage
	if err := edn.Unmarshal(value, &ops); err != nil || len(ops) != 1 || len(ops[0]) != 3 {
		return "", nil, fmt.Errorf("a transaction of one micro-operation [f key value] can be judged, got %s", value)
	}
	var name edn.Keyword
	if err := edn.Unmarshal(ops[0][0], &name); err != nil {
		return "", nil, fmt.Errorf("micro-operation %s: %w", ops[0][0], err)
	}
	if op.Key, err = text(ops[0][1]); err != nil {
		return "", nil, err
	}
	return string(name), ops[0][2], nil
}

// completion repeats the invocation and adds what was seen.
func (p *parser) completion(op *harness.Op, r raw) error {
	inv, ok := p.open[op.Process]
	if !ok {
		return fmt.Errorf("process %d completes what it never invoked", op.Process)
	}
	delete(p.open, op.Process)
	op.F, op.Value, op.Element, op.Key = inv.F, inv.Value, inv.Element, inv.Key
	if s := strings.TrimSpace(string(r.Error)); s != "" && s != "nil" {
		op.Error = s
	}
	if inv.F != harness.Get || op.Kind != harness.OK {
		return nil
	}
	var seen harness.Op
	_, value, err := p.call(&seen, r)
	if err != nil {
		return err
	}
	if seen.Key != "" && seen.Key != inv.Key {
		return fmt.Errorf("the answer is of key %q, it was asked for %q", seen.Key, inv.Key)
	}
	op.Siblings, err = shown(value)
	return err
}

// shown is what a read saw: nothing, one value, or the items of a set or list.
func shown(value edn.RawMessage) ([]harness.Sibling, error) {
	trimmed := bytes.TrimSpace(value)
	if len(trimmed) == 0 || string(trimmed) == "nil" {
		return nil, nil
	}
	if trimmed[0] != '[' && trimmed[0] != '(' && !bytes.HasPrefix(trimmed, []byte("#{")) {
		s, err := text(value)
		return []harness.Sibling{{Value: s}}, err
	}
	if trimmed[0] == '#' { // a set's elements have an order on paper, which is enough
		trimmed = append([]byte("["), append(trimmed[2:len(trimmed)-1:len(trimmed)-1], ']')...)
	}
	var list []edn.RawMessage
	if err := edn.Unmarshal(trimmed, &list); err != nil {
		return nil, fmt.Errorf("value %s: %w", value, err)
	}
	items := make([]string, len(list))
	for i, e := range list {
		var err error
		if items[i], err = text(e); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(map[string]any{"items": items})
	return []harness.Sibling{{Value: string(b)}}, err
}

// text is a scalar as a string: strings without their quotes, all else as it is written.
func text(value edn.RawMessage) (string, error) {
	s := strings.TrimSpace(string(value))
	if !strings.HasPrefix(s, `"`) {
		if s == "nil" {
			return "", nil
		}
		if s == "" {
			return "", errors.New("no value")
		}
		return s, nil
	}
	var out string
	if err := edn.Unmarshal(value, &out); err != nil {
		return "", fmt.Errorf("value %s: %w", value, err)
	}
	return out, nil
}

// scalar writes what text reads: numbers and nothing bare, all else quoted.
func scalar(s string) string {
	if s == "" {
		return "nil"
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return s
	}
	b, err := edn.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(b)
}
