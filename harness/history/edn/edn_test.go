package edn

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

func line(process int, kind, f, value string) string {
	return fmt.Sprintf("{:process %d, :type :%s, :f :%s, :value %s}\n", process, kind, f, value)
}

func TestFunctionsAndValues(t *testing.T) {
	one := func(value string) []harness.Sibling { return []harness.Sibling{{Value: value}} }
	for _, c := range []struct {
		name string
		o    Options
		in   string
		want harness.Op // the completion, without what every one has
	}{
		{name: "read nothing", in: line(0, "invoke", "read", "nil") + line(0, "ok", "read", "nil"), want: harness.Op{F: "get"}},
		{name: "read a number", in: line(0, "invoke", "read", "nil") + line(0, "ok", "read", "3"), want: harness.Op{F: "get", Siblings: one("3")}},
		{name: "read a string", in: line(0, "invoke", "r", "nil") + line(0, "ok", "r", `"a b"`), want: harness.Op{F: "get", Siblings: one("a b")}},
		{name: "read a list", in: line(0, "invoke", "read", "nil") + line(0, "ok", "read", "[2 1]"), want: harness.Op{F: "get", Siblings: one(`{"items":["2","1"]}`)}},
		{name: "read a set", in: line(0, "invoke", "read", "nil") + line(0, "ok", "read", "#{2 1}"), want: harness.Op{F: "get", Siblings: one(`{"items":["2","1"]}`)}},
		{name: "write", in: line(0, "invoke", "write", "3") + line(0, "ok", "write", "3"), want: harness.Op{F: "put", Value: "3"}},
		{name: "write that says nothing at its end", in: line(0, "invoke", "w", "3") + line(0, "ok", "w", "nil"), want: harness.Op{F: "put", Value: "3"}},
		{name: "compare and set", in: line(0, "invoke", "cas", "[1 2]") + line(0, "ok", "cas", "[1 2]"), want: harness.Op{F: "cas", Element: "1", Value: "2"}},
		{name: "add", in: line(0, "invoke", "add", "7") + line(0, "ok", "add", "7"), want: harness.Op{F: "add", Element: "7"}},
		{
			name: "append in a transaction", in: line(0, "invoke", "txn", "[[:append 5 7]]") + line(0, "ok", "txn", "[[:append 5 7]]"),
			want: harness.Op{F: "append", Key: "5", Element: "7"},
		},
		{
			name: "read in a transaction", in: line(0, "invoke", "txn", "[[:r 5 nil]]") + line(0, "ok", "txn", "[[:r 5 [1 2]]]"),
			want: harness.Op{F: "get", Key: "5", Siblings: one(`{"items":["1","2"]}`)},
		},
		{
			name: "independent keys", o: Options{Independent: true}, in: line(0, "invoke", "cas", "[4 [1 2]]") + line(0, "ok", "cas", "[4 [1 2]]"),
			want: harness.Op{F: "cas", Key: "4", Element: "1", Value: "2"},
		},
		{
			name: "independent read", o: Options{Independent: true}, in: line(0, "invoke", "read", "[4 nil]") + line(0, "ok", "read", "[4 1]"),
			want: harness.Op{F: "get", Key: "4", Siblings: one("1")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops, _, err := Read(strings.NewReader(c.in), c.o)
			if err != nil || len(ops) != 2 {
				t.Fatalf("got %v, %v", ops, err)
			}
			got := ops[1]
			c.want.Kind, c.want.Index, c.want.Time = harness.OK, 1, got.Time
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	good := line(0, "invoke", "read", "nil")
	for _, c := range []struct{ name, in, want string }{
		{"no EDN", good + "hello {\n" + good, "line 2"},
		{"type", "{:process 0, :type :done, :f :read}\n" + good, "line 1: type :done"},
		{"function", line(0, "invoke", "increment", "1") + good, "function :increment"},
		{"cas", line(0, "invoke", "cas", "3") + good, ":cas wants [old new]"},
		{"never invoked", line(4, "ok", "read", "1") + good, "process 4 completes"},
		{"negative process", "{:process -7, :type :invoke, :f :read}\n" + good, "process -7"},
		{"two micro-operations", line(0, "invoke", "txn", "[[:r 1 nil] [:r 2 nil]]") + good, "one micro-operation"},
		{"no process", "{:type :invoke, :f :read}\n" + good, "no number"},
	} {
		if _, _, err := Read(strings.NewReader(c.in), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, _, err := Read(strings.NewReader(good), Options{Independent: true}); err == nil || !strings.Contains(err.Error(), "[key value]") {
		t.Errorf("a value without a key: %v", err)
	}
	if _, _, err := Read(strings.NewReader(strings.Repeat("x", history.LineMax+1)), Options{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless line: %v", err)
	}
}

func TestWhatIsNoOperationIsLeftOut(t *testing.T) {
	in := "[" + line(0, "invoke", "read", "nil") +
		"; a comment\n\n{:process :nemesis, :type :info, :f :start, :value nil}\n" +
		"#jepsen.history.Op{:process 0, :type :ok, :f :read, :value 1, :time 77, :error nil, :more {:x 1}}]\n{:process 0, :ty"
	ops, notes, err := Read(strings.NewReader(in), Options{})
	if err != nil || len(ops) != 2 || ops[1].Time != 77 || ops[1].Error != "" {
		t.Fatalf("got %+v, %v", ops, err)
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "cut short") || !strings.Contains(all, "1 lines of the nemesis") {
		t.Errorf("notes: %q", notes)
	}
}

func TestContentTellsEDNFromJSON(t *testing.T) {
	for text, want := range map[string]bool{
		"{:process 0": true, "  [{:type :ok": true, "#jepsen.history.Op{:x": true, "; comment": true, "{ :f": true,
		`{"index":0`: false, `[{"index"`: false, "": false, "hello": false,
	} {
		if got := Is([]byte(text)); got != want {
			t.Errorf("%q: EDN is %t, want %t", text, got, want)
		}
	}
}

// What Write tells Jepsen's tools, Read takes for the same.
func TestReadInvertsWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z"\\ ]{1,6}|[1-9][0-9]{0,3}`)
		var ops []harness.Op
		for p := range rapid.IntRange(1, 5).Draw(t, "operations") {
			inv := harness.Op{Index: len(ops), Process: p, Kind: harness.Invoke, Time: time.Duration(len(ops)), Key: "k"}
			switch inv.F = rapid.SampledFrom([]string{harness.Get, harness.Put, harness.CAS, harness.Add, harness.Append}).Draw(t, "f"); inv.F {
			case harness.Put:
				inv.Value = word.Draw(t, "value")
			case harness.CAS:
				inv.Element, inv.Value = word.Draw(t, "old"), word.Draw(t, "new")
			case harness.Add, harness.Append:
				inv.Element = word.Draw(t, "element")
			}
			done := inv
			done.Index, done.Time = inv.Index+1, inv.Time+1
			done.Kind = rapid.SampledFrom([]harness.Kind{harness.OK, harness.Fail, harness.Info}).Draw(t, "kind")
			if inv.F == harness.Get && done.Kind == harness.OK {
				switch rapid.IntRange(0, 2).Draw(t, "shown") {
				case 1:
					done.Siblings = []harness.Sibling{{Value: word.Draw(t, "seen")}}
				case 2:
					done.Siblings = []harness.Sibling{{Value: `{"items":["1","a b"]}`}}
				}
			}
			ops = append(ops, inv, done)
		}
		if rapid.Bool().Draw(t, "keys") {
			extra := harness.Op{Index: len(ops), Process: 9, Kind: harness.Invoke, F: harness.Get, Key: "other", Time: time.Duration(len(ops))}
			ops = append(ops, extra)
		}
		keys := slices.ContainsFunc(ops, func(op harness.Op) bool { return op.Key == "other" })
		var b bytes.Buffer
		if err := Write(&b, ops); err != nil {
			t.Fatal(err)
		}
		got, notes, err := Read(&b, Options{Independent: keys})
		if err != nil || len(notes) > 0 {
			t.Fatalf("%v, %v\n%s", notes, err, b.String())
		}
		for i := range ops {
			if !keys {
				ops[i].Key = ""
			}
		}
		if !reflect.DeepEqual(got, ops) {
			t.Fatalf("got  %+v\nwant %+v", got, ops)
		}
	})
}

func TestWriteRefusesWhatJepsenHasNoWordFor(t *testing.T) {
	for _, op := range []harness.Op{
		{F: harness.Delete, Kind: harness.Invoke},
		{F: harness.Get, Kind: harness.OK, Siblings: []harness.Sibling{{Value: "a"}, {Value: "b"}}},
	} {
		if err := Write(&bytes.Buffer{}, []harness.Op{op}); err == nil {
			t.Errorf("%+v was written", op)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(line(0, "invoke", "cas", "[1 2]")))
	f.Add([]byte("[#jepsen.history.Op{:process 0}]"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _ = Read(bytes.NewReader(b), Options{})
		_, _, _ = Read(bytes.NewReader(b), Options{Independent: true})
	})
}
