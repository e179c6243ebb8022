package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
