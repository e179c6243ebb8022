package checker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryRuleHasItsLitmus: the corpus finds each kind of anomaly in some history, has a
// valid history for each checker, and gives a reason with each history; docs/CHECKERS.md
// has a line for each checker.
func TestEveryRuleHasItsLitmus(t *testing.T) {
	files, err := filepath.Glob("testdata/litmus/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	corpus := ""
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		corpus += "\n" + string(b)
		for i, part := range strings.Split(string(b), "\n\n") {
			if !strings.HasPrefix(part, "#") && !strings.HasPrefix(part, "events") {
				t.Errorf("%s, part %d: no sentence says why\n%s", name, i+1, part)
			}
		}
	}
	kinds := []string{PhantomElement, FutureElement, TwiceElement, TwoOrders, StaleList} // of models, which claim all
	for _, p := range promises {
		kinds = append(kinds, p.kinds...)
	}
	for _, kind := range kinds {
		if !strings.Contains(corpus, "\n  "+kind+" key=") {
			t.Errorf("no history shows %s", kind)
		}
	}
	page, err := os.ReadFile("../../docs/CHECKERS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		if !strings.Contains(string(page), "\n| `"+name+"` |") {
			t.Errorf("docs/CHECKERS.md says nothing of %s", name)
		}
		if !strings.Contains(corpus, "\n"+name+": valid") {
			t.Errorf("no history is valid for %s", name)
		}
	}
}
