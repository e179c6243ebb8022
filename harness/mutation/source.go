package mutation

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SourceOf is a digest of all code below root that gets into a program: two hunts whose
// digests agree have tried the same store with the same harness.
func SourceOf(root string) (string, error) {
	sum := sha256.New()
	// WalkDir goes in lexical order.
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "results") {
				return fs.SkipDir
			}
			return nil
		case name != "go.mod" && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		fmt.Fprintf(sum, "%s %d\n%s", filepath.ToSlash(rel), len(text), text) // a hash never fails
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest of the source: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), nil
}
