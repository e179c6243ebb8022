package cartwheel

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	checkRow  = regexp.MustCompile(`(?m)^\| (.+) \| (.+) \|$`)
	checkName = regexp.MustCompile("`([^`]+)`|\\b((?:Test|Example|Fuzz|Benchmark)[A-Z]\\w+)")
)

// The checklist names tests by their package, in back quotes, and what follows it until the next one. Each row has a test, or says
// why the line is left out.
func TestEveryLineOfTheChecklistHasItsTest(t *testing.T) {
	text, err := os.ReadFile("docs/CHECKLIST.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, row := range checkRow.FindAllStringSubmatch(string(text), -1) {
		what, shown := row[1], row[2]
		if strings.HasPrefix(shown, "---") || shown == "shown by" {
			continue
		}
		rows++
		dir, named := "", 0
		for _, m := range checkName.FindAllStringSubmatch(shown, -1) {
			if m[1] != "" {
				dir = m[1]
				continue
			}
			named++
			if !hasTest(t, dir, m[2]) {
				t.Errorf("%s: there is no %s in %q", what, m[2], dir)
			}
		}
		if named == 0 && !strings.HasPrefix(shown, "left out: ") {
			t.Errorf("%s: no test is named, nor does it say why it is left out", what)
		}
	}
	if rows < 50 {
		t.Errorf("the checklist has %d rows: it was not read whole", rows)
	}
}

// hasTest looks for a function among the tests of a package.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
