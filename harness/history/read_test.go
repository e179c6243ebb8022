package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cartwheel/harness"
)

// Each script of testdata/malformed says in its first line what must be said of the rest.
func TestMalformedLinesAreRefusedWithLineAndReason(t *testing.T) {
	files, err := filepath.Glob("testdata/malformed/*.jsonl")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(data), "\n")
			want, ok := strings.CutPrefix(head, "# ")
			if !ok {
				t.Fatalf("%s does not begin with what is expected", file)
			}
			ops, notes, err := Read(strings.NewReader(body))
			if err == nil {
				err = Validate(ops)
			}
			said := strings.Join(notes, "\n")
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, want) {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
}

type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.given += len(p)
	return len(p), nil
}

func TestALineWithoutEndIsGivenUp(t *testing.T) {
	in := &endless{}
	_, _, err := Read(in)
	if err == nil || !strings.Contains(err.Error(), "line 1: longer than 64 MiB") {
		t.Errorf("got %v", err)
	}
	if in.given > 2*LineMax {
		t.Errorf("%d bytes were read of a line of %d at most", in.given, LineMax)
	}
}

func TestALongLineIsRead(t *testing.T) {
	value := strings.Repeat("v", 1<<20)
	line := fmt.Sprintf(`{"index":0,"time":1,"process":0,"kind":"invoke","f":"put","value":%q}`, value)
	ops, _, err := Read(strings.NewReader(line + "\n" + line))
	if err != nil || len(ops) != 2 || ops[1].Value != value {
		t.Errorf("%d ops, %v", len(ops), err)
	}
}

func TestAReadersErrorIsFinal(t *testing.T) {
	r := NewReader(strings.NewReader("nonsense\n" + `{"index":0,"time":1,"process":0,"kind":"invoke","f":"get"}`))
	_, first := r.Next()
	_, again := r.Next()
	if first == nil || errors.Is(first, io.EOF) || !errors.Is(again, first) {
		t.Errorf("got %v, then %v", first, again)
	}
}

func TestFieldsOfALineAreKnownToThePlainReader(t *testing.T) {
	full := harness.Op{
		Index: 7, Time: 123456789012, Process: -2, Kind: harness.OK, F: harness.Get, Key: "k", Node: "n1", Phase: harness.Load,
		Value: "v", Context: []byte("c"), Action: "add", Element: "e", Siblings: []harness.Sibling{{Value: "a", Write: "n1:3"}, {Tombstone: true}},
		Token: []byte("token"), Write: "w", State: "s", Error: "none", GivenUp: true,
		Meta: &harness.Meta{
			Coordinator: "n1", Forwarded: true, Hinted: 1, Degraded: true, Repairs: 2,
			Replies: []harness.Reply{{Node: "n2", For: "n3", State: "ok", RTT: 17}},
		},
	}
	line := marshal(t, full)
	p := plain{text: line, words: &words{}}
	var got harness.Op
	if !p.op(&got) || !reflect.DeepEqual(got, full) {
		t.Errorf("got  %+v\nwant %+v", got, full)
	}
	for i := range reflect.TypeFor[harness.Op]().NumField() {
		f := reflect.TypeFor[harness.Op]().Field(i)
		if !slices.Contains([]string{"Fault", "Evidence", "Flaws"}, f.Name) && reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("field %s is new: teach it to the plain reader and set it here", f.Name)
		}
	}
}

func marshal(t testing.TB, op harness.Op) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := NewWriter(&buf, ticking(0)).Append(op); err != nil {
		t.Fatal(err)
	}
	line := bytes.TrimSpace(buf.Bytes())
	line = bytes.Replace(line, []byte(`"index":0,"time":0`), fmt.Appendf(nil, `"index":%d,"time":%d`, op.Index, op.Time), 1)
	return line
}

// FuzzLine holds the plain reader to encoding/json: what it accepts means the same, and
// is nothing that the strict rules refuse.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		`{"index":0,"time":1,"process":0,"kind":"invoke","f":"get"}`,
		`{"index":1,"time":-1,"process":-2,"kind":"ok","f":"get","siblings":[{"value":"a"},{"tombstone":true,"write":"n1:3"}],"token":"YWI="}`,
		`{"index":01,"time":1e3,"process":0,"kind":"invoke","f":"get"}`,
		`{"index":0,"time":1,"process":0,"kind":"invoke","f":"get","meta":{"replies":[{"node":"n1","state":"ok","rtt":5}],"hinted":1}}`,
		`{"index":0,"time":1,"process":0,"kind":"invoke","f":"get","siblings":[],"siblings":[{}]}`,
		`{"index":0,"time":1,"process":0,"kind":"invoke","f":"p\u0041ut" , "key":"ä"}`,
		`{"index":9223372036854775807,"time":1,"process":0,"kind":"","f":"","context":"="}`,
		`{}{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimSpace(line)
		p := plain{text: line, words: &words{}}
		var got harness.Op
		if !p.op(&got) {
			return
		}
		want, err := parseAny(line)
		if err != nil {
			t.Fatalf("the plain reader took a line that is wrong: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// FuzzRead wants an answer to everything, and what was read to be readable again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"index":0,"time":1,"process":0,"kind":"invoke","f":"get"}` + "\n{\"index\":"))
	f.Add([]byte("\n\r\n[]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ops, _, err := Read(bytes.NewReader(data))
		if err != nil && !strings.Contains(err.Error(), "history line ") {
			t.Fatalf("an error without a line: %v", err)
		}
		var lines [][]byte
		for _, op := range ops {
			lines = append(lines, marshal(t, op))
		}
		again, notes, err := Read(bytes.NewReader(bytes.Join(lines, []byte("\n"))))
		if err != nil || len(notes) > 0 || len(again) != len(ops) {
			t.Fatalf("%d operations were read, then %d: %v %v", len(ops), len(again), notes, err)
		}
	})
}

// BenchmarkRead reads a run's usual lines: pairs of an invocation and a completion with
// siblings, token and meta.
func BenchmarkRead(b *testing.B) {
	var buf bytes.Buffer
	for i := range 10_000 {
		inv := harness.Op{Index: 2 * i, Time: 1000, Process: i % 10, Kind: harness.Invoke, F: harness.Put, Key: "k17", Node: "n3", Phase: harness.Load, Value: fmt.Sprint("v", i), Context: []byte("0123456789012345")}
		done := inv
		done.Index, done.Kind, done.Token = 2*i+1, harness.OK, []byte("01234567890123456")
		done.Siblings = []harness.Sibling{{Value: inv.Value, Write: "n3:1"}}
		done.Meta = &harness.Meta{Coordinator: "n3", Replies: []harness.Reply{{Node: "n3", State: "ok"}, {Node: "n4", State: "ok", RTT: 900}, {Node: "n5", State: "ok", RTT: 800}}}
		buf.Write(append(marshal(b, inv), '\n'))
		buf.Write(append(marshal(b, done), '\n'))
	}
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		in := NewReader(bytes.NewReader(buf.Bytes()))
		for {
			if _, err := in.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/2/b.Elapsed().Seconds(), "operations/s")
}
