package mutation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
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
gate: yes
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
		Checker: "manners", Kind: "rude", Workload: "cart", Nemesis: "none", Gate: true,
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
		{"twice", "gate: yes", "gate: yes\nid: M01", "id is there twice"},
		{"no field", "gate: yes", "gate: yes\nwhat", "name: value"},
		{"no flag", "gate: yes", "gate: no", "want yes or nothing"},
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

// Every mutant of the catalogue fits the store as it is now and names a workload, a
// nemesis and a checker that there are. Whether it still compiles the hunt finds out.
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
			if _, err := edited(root, m); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Each of the catalogue's bugs is planted or left out for a reason.
func TestNoBugIsForgotten(t *testing.T) {
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	left, err := LeftOuts()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, m := range all {
		seen[m.ID]++
	}
	for _, l := range left {
		seen[l.ID]++
	}
	for i := 1; i <= 108; i++ {
		id := fmt.Sprintf("M%02d", i)
		if seen[id] != 1 {
			t.Errorf("%s is there %d times, planted or left out, want once", id, seen[id])
		}
	}
}

func TestWhatIsLeftOutHasAReason(t *testing.T) {
	got, err := parseLeftOut("# why\nM1\ta bug\tabsent\tthere is none\n\n")
	if want := []LeftOut{{"M1", "a bug", Absent, "there is none"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, c := range []struct{ name, text, want string }{
		{"no reason", "M1\ta bug\tabsent\t\n", "line 1"},
		{"unknown why", "\nM1\ta bug\tboring\tit is\n", "line 2"},
		{"twice", "M1\ta\topen\tb\nM1\ta\topen\tb\n", "M1 is there twice"},
	} {
		if _, err := parseLeftOut(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTheDigestOfTheSourceFollowsTheCodeAlone(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		if err := write(filepath.Join(root, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
		sum, err := SourceOf(root)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	first := put("a/a.go", "package a")
	for _, name := range []string{"a/a_test.go", "a/readme.md", "bin/x.go", ".git/x.go", "a/testdata/x.go", "results/x.go"} {
		if put(name, "package x") != first {
			t.Errorf("%s counts", name)
		}
	}
	second := put("go.mod", "module a")
	if third := put("a/a.go", "package b"); second == first || third == second {
		t.Error("a change of the code goes unnoticed")
	}
}
