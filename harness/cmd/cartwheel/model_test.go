package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

func TestHistoriesFromAnywhereAreJudged(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const write = `{"index":0,"time":1,"process":0,"kind":"invoke","f":"put","key":"x","value":"1"}
{"index":1,"time":2,"process":0,"kind":"ok","f":"put","key":"x","value":"1"}
{"index":2,"time":3,"process":1,"kind":"invoke","f":"get","key":"x"}
`
	good := put("good", write+`{"index":3,"time":4,"process":1,"kind":"ok","f":"get","key":"x","siblings":[{"value":"1"}]}`+"\n")
	stale := put("stale", write+`{"index":3,"time":4,"process":1,"kind":"ok","f":"get","key":"x"}`+"\n")
	cas := put("cas", "{:process 0, :type :invoke, :f :cas, :value [1 2]}\n{:process 0, :type :ok, :f :cas, :value [1 2]}\n")
	count := put("count", "{:process 0, :type :invoke, :f :add, :value 3}\n{:process 0, :type :ok, :f :add, :value 3}\n"+
		"{:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value 2}\n")
	twice := put("twice", write+write)
	huge := put("huge", write)
	if err := os.Truncate(huge, 1<<30); err != nil { // the rest is one line without an end, and takes no room
		t.Fatal(err)
	}
	page := filepath.Join(dir, "new", "page")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"valid", []string{"--model", "register", good}, exitValid, "VALID"},
		{"stale read", []string{"--model", "register", stale}, exitInvalid, "not-linearizable"},
		{"one version behind", []string{"--model", "2-atomic-register", stale}, exitValid, "1 get of 1 register, up to 0.000 s behind"},
		{"the worst of several", []string{"--model", "register", good, stale}, exitInvalid, "== " + stale},
		{"EDN by its content", []string{"--model", "cas-register", cas}, exitInvalid, "changed 1 to 2"},
		{"a counter that lacks something", []string{"--model", "counter", count}, exitInvalid, "adds up to 3"},
		{"malformed", []string{"--model", "register", twice}, exitUnknown, "line 4: index 0 does not follow 2"},
		{"cut short", []string{"--model", "register", put("cut", write+`{"index":3,"time":4,"proc`)}, exitValid, "line 4 is cut short and was left out"},
		{"times that run backwards", []string{"--model", "register", put("back", strings.Replace(write, `"time":2`, `"time":0`, 1))}, exitUnknown, "line 2: time"},
		{"a line of a gigabyte", []string{"--model", "register", huge}, exitUsage, "line 4: longer than 64 MiB"},
		{"packed", []string{"--model", "register", put("h.jsonl.gz", "\x1f\x8b\x08\x00\x00")}, exitUsage, "not an operation"},
		{"a page", []string{"--model", "register", "--report", page, stale}, exitInvalid, "report: " + filepath.Join(page, "index.html")},
		{"a page of two", []string{"--model", "register", "--report", page, stale, good}, exitUsage, "--report takes one history"},
		{"the core of that page", []string{"--model", "register", filepath.Join(page, "core-1.jsonl")}, exitInvalid, "not-linearizable"},
		{"unknown model", []string{"--model", "queue", good}, exitUsage, "there are register, cas-register, 2-atomic-register, set"},
		{"no such file", []string{"--model", "register", filepath.Join(dir, "none")}, exitUsage, "no such file"},
		{"a folder", []string{"--model", "register", dir}, exitUsage, "history.jsonl"},
		{"nothing in it", []string{"--model", "register", put("empty", "")}, exitUsage, "no operations"},
		{"garbage", []string{"--model", "register", put("garbage", "hello\n")}, exitUsage, "line 1"},
		{"keys of EDN for JSON", []string{"--model", "register", "--independent", good}, exitUsage, "a JSON line says its key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, said bytes.Buffer
			code := run(t.Context(), append([]string{"check"}, c.args...), func(string) (string, bool) { return "", false }, &out, &said)
			if all := out.String() + said.String(); code != c.code || !strings.Contains(all, c.want) {
				t.Errorf("exit code %d, want %d and %q in\n%s", code, c.code, c.want, all)
			}
		})
	}

	var out, said bytes.Buffer
	run(t.Context(), []string{"check", "--model", "register", "--json", stale}, func(string) (string, bool) { return "", false }, &out, &said)
	var told struct {
		Verdict  string
		Findings []struct{ Anomalies []struct{ Kind string } }
	}
	if err := json.Unmarshal(out.Bytes(), &told); err != nil || told.Verdict != "invalid" || len(told.Findings) != 1 || len(told.Findings[0].Anomalies) != 1 {
		t.Errorf("got %s, %v", out.String(), err)
	}
}

// A long history is judged as it goes by, with the same findings and stories.
func TestALongHistoryIsJudgedAsItGoesBy(t *testing.T) {
	name := filepath.Join(t.TempDir(), "h.jsonl")
	lines := []string{
		`"process":0,"kind":"invoke","f":"put","key":"x","value":"a"`,
		`"process":0,"kind":"ok","f":"put","key":"x","value":"a","siblings":[{"value":"a"}],"token":"AQ=="`,
		`"process":0,"kind":"invoke","f":"get","key":"x"`,
		`"process":0,"kind":"ok","f":"get","key":"x"`,
		`"process":-2,"kind":"invoke","f":"replica-read","key":"x","node":"n1","phase":"final"`,
		`"process":-2,"kind":"ok","f":"replica-read","key":"x","node":"n1","phase":"final"`,
	}
	for i, l := range lines {
		lines[i] = fmt.Sprintf(`{"index":%d,"time":%d,%s}`, i, i+1, l)
	}
	judge := func(lines []string, long int64) harness.Result {
		t.Helper()
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := checker.ModelNamed("mvr")
		if err != nil {
			t.Fatal(err)
		}
		o := foreign{model: "mvr", budget: time.Minute, long: long}
		if s := o.stream(m, name); (s != nil) != (long == 1) {
			t.Fatalf("from %d bytes on: got stream %v", long, s != nil)
		}
		res, err := o.judge(t.Context(), m, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Findings {
			for i := range f.Anomalies {
				f.Anomalies[i].Core = nil // looked for only in a history that is held
			}
		}
		return res
	}
	held, streamed := judge(lines, 1<<20), judge(lines, 1)
	if held.Verdict != harness.Invalid || streamed.Verdict != held.Verdict || streamed.Stats != held.Stats || !reflect.DeepEqual(held.Findings, streamed.Findings) {
		t.Errorf("held:     %+v\nstreamed: %+v", held, streamed)
	}
	spoiled := append(slices.Clone(lines), lines[0])
	if res := judge(spoiled, 1); res.Verdict != harness.Unknown || !strings.Contains(res.Reasons[0], "line 7: index 0 does not follow 5") {
		t.Errorf("a malformed one: %s: %q", res.Verdict, res.Reasons)
	}
}

func TestAHistoryIsExportedForJepsen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "h.jsonl")
	text := `{"index":0,"time":1,"process":0,"kind":"invoke","f":"put","key":"x","value":"1"}` + "\n" +
		`{"index":1,"time":2,"process":0,"kind":"info","f":"put","key":"x","value":"1","error":"timeout"}` + "\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	code := run(t.Context(), []string{"export", "--edn", name}, func(string) (string, bool) { return "", false }, &out, &said)
	want := "{:process 0, :type :invoke, :f :write, :value 1, :time 1, :index 0}\n{:process 0, :type :info, :f :write, :value 1, :time 2, :index 1, :error \"timeout\"}\n"
	if code != exitValid || out.String() != want {
		t.Errorf("exit code %d\n%s%s", code, out.String(), said.String())
	}
	if code := run(t.Context(), []string{"export", name}, func(string) (string, bool) { return "", false }, &out, &said); code != exitUsage {
		t.Errorf("without a format: exit code %d", code)
	}
}
