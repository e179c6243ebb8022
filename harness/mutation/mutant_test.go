package mutation

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cartwheel/harness"
	"cartwheel/harness/suite"
)

const example = `# a comment
id: M00
title: greets the wrong one
mechanism: It says
  hello to the wrong one.
checker: manners
kind: rude
workload: cart
nemesis: none
seeds: 2
-- from a/hello.go --
	hello("world")
-- to --
	hello("moon")
-- from a/hello.go --
	bye()
-- to --
-- from b.go --
one
two
-- to --
three
`

func TestParseReadsFieldsAndEdits(t *testing.T) {
	got, err := Parse(example)
	want := Mutant{
		ID: "M00", Title: "greets the wrong one", Mechanism: "It says hello to the wrong one.",
		Checker: "manners", Kind: "rude", Workload: "cart", Nemesis: "none", Seeds: 2,
		Edits: []Edit{
			{File: "a/hello.go", From: "\thello(\"world\")", To: "\thello(\"moon\")"},
			{File: "a/hello.go", From: "\tbye()", To: ""},
			{File: "b.go", From: "one\ntwo", To: "three"},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field", "kind: rude", "sort: rude", `no field "sort"`},
		{"missing field", "kind: rude\n", "", "no kind"},
		{"twice", "seeds: 2", "seeds: 2\nid: M01", "id is there twice"},
		{"no field", "seeds: 2", "seeds: 2\nwhat", "name: value"},
		{"no number", "seeds: 2", "seeds: two", "invalid syntax"},
		{"no seeds", "seeds: 2", "seeds: 0", "at least 1"},
		{"open mark", "b.go --\n", "b.go\n", "not closed"},
		{"no replacement", "two\n-- to --\n", "two\n", "no -- to --"},
		{"outside", "b.go --", "../b.go --", "changes nothing"},
		{"no change", "three", "one\ntwo", "changes nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(example, c.old, c.new, 1)
			if text == example {
				t.Fatal("the case changes nothing")
			}
			if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Parse(example[:strings.Index(example, "-- from")]); err == nil {
		t.Error("a mutant without an edit was accepted")
	}
}

func TestApplyWritesAnOverlayAndLeavesTheSourceAlone(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := write(filepath.Join(root, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const hello = "package a\n\tbye()\n\thello(\"world\")\n"
	put("a/hello.go", hello)
	put("b.go", "one\ntwo\n")
	m, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := Apply(root, m, dir)
	if err != nil {
		t.Fatal(err)
	}
	var o struct{ Replace map[string]string }
	b, err := os.ReadFile(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/hello.go": "package a\n\n\thello(\"moon\")\n", "b.go": "three\n"} {
		got, err := os.ReadFile(o.Replace[filepath.Join(root, name)])
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %q, %v; want %q", name, got, err, want)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(root, "a/hello.go")); string(got) != hello {
		t.Error("the source was changed")
	}

	for name, text := range map[string]string{"gone": "nothing of it", "twice": "one\ntwo\none\ntwo\n"} {
		put("b.go", text)
		if _, err := Apply(root, m, dir); !errors.Is(err, ErrStale) {
			t.Errorf("%s: got %v, want a stale mutant", name, err)
		}
	}
}

// Every mutant of the catalogue fits the store as it is now, still compiles, and names a
// workload, a nemesis and a checker that there are.
func TestCatalogueFitsTheStore(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		t.Run(m.ID, func(t *testing.T) {
			w, err := suite.Workload(m.Workload)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := suite.Nemesis(m.Nemesis); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(w.Checkers, func(c harness.Checker) bool { return c.Name() == m.Checker }) {
				t.Fatalf("workload %s has no checker %q", m.Workload, m.Checker)
			}
			overlay, err := Apply(root, m, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range m.Edits {
				cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./"+path.Dir(e.File))
				cmd.Dir = root
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			}
		})
	}
}
