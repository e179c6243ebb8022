package cartwheel

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var folder = regexp.MustCompile(`(?:^|[ (])([a-z][a-z0-9]*)/(?:[ ,;:)]|$)`)

// The layout in docs/ARCHITECTURE.md names every package in its place: by a line of its own, indented below that of the folder
// it is in, or within that folder's line.
func TestTheArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, layout, _ := strings.Cut(string(text), "\n## Layout and layers\n\n```\n")
	layout, _, _ = strings.Cut(layout, "\n```")
	named := foldersOf(layout)
	for _, p := range slices.Sorted(maps.Keys(layers)) {
		if p != "." && !named[p] {
			t.Errorf("%s: not in the layout of docs/ARCHITECTURE.md", p)
		}
	}
	for p := range named {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("the layout of docs/ARCHITECTURE.md names %s: %v", p, err)
		}
	}
}

func TestALayoutIsReadByItsIndentation(t *testing.T) {
	got := slices.Sorted(maps.Keys(foldersOf("a/   words, b/c d; e/ of that\n  f/  g/, h/: i\n    j/ k\nl/ m")))
	want := []string{"a", "a/e", "a/f", "a/f/g", "a/f/h", "a/f/j", "l"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// foldersOf returns the paths that a layout names. Each level is indented by two spaces.
func foldersOf(layout string) map[string]bool {
	named := map[string]bool{}
	var above []string // the folder of each level above the line
	for line := range strings.Lines(layout) {
		level := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		var here []string
		// The end of one match may be the beginning of the next.
		for _, m := range folder.FindAllStringSubmatch(strings.ReplaceAll(strings.TrimSpace(line), " ", "  "), -1) {
			here = append(here, m[1])
		}
		if len(here) == 0 || level > len(above) {
			continue
		}
		above = append(above[:level], here[0])
		dir := path.Join(above...)
		named[dir] = true
		for _, inside := range here[1:] {
			named[path.Join(dir, inside)] = true
		}
	}
	return named
}
