package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var keep = flag.String("keep", "", "folder to leave the fixture's report in, for looking at it")

func TestKeep(t *testing.T) {
	if *keep == "" {
		t.Skip("no -keep")
	}
	f := newFixture()
	if err := os.MkdirAll(*keep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(*keep, f.result(), f.lines); err != nil {
		t.Fatal(err)
	}
	t.Log(filepath.Join(*keep, IndexFile))
}
