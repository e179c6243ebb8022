package history

import (
	"os"
	"strings"
	"testing"
)

// The examples of the documentation are one history, which is well formed.
func TestTheDocumentedHistoryIsWellFormed(t *testing.T) {
	page, err := os.ReadFile("../../docs/HISTORY.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	ops, notes, err := Read(strings.NewReader(strings.Join(lines, "")))
	if err != nil || len(notes) > 0 || len(ops) != 6 {
		t.Fatalf("%d operations, %v, %v", len(ops), notes, err)
	}
	if err := Validate(ops); err != nil {
		t.Error(err)
	}
	for _, name := range known {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("field %s is not documented", name)
		}
	}
}
