package mutation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrStale marks a mutant whose text does not stand exactly once in its file: the store
// has changed, and the mutant must follow.
var ErrStale = errors.New("stale mutant")

// Apply writes the mutant's files and an overlay for "go build -overlay" below dir and
// returns the overlay's path. Root is the module's; nothing there is changed. The same
// mutant of the same source gives the same files, so builds are cached by content.
func Apply(root string, m Mutant, dir string) (overlay string, err error) {
	if root, err = filepath.Abs(root); err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	if dir, err = filepath.Abs(filepath.Join(dir, m.ID)); err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	files, err := edited(root, m)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string, len(files))
	for name, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		replace[filepath.Join(root, filepath.FromSlash(name))] = to
		if err := write(to, []byte(text)); err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.ID, err)
		}
	}
	b, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := write(overlay, b); err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	return overlay, nil
}

// edited returns the mutant's files as they become, by name.
func edited(root string, m Mutant) (map[string]string, error) {
	files := make(map[string]string)
	for _, e := range m.Edits {
		text, ok := files[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w: %w", m.ID, ErrStale, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.From); n != 1 {
			return nil, fmt.Errorf("mutant %s: %w: its text stands %d times in %s, want once:\n%s", m.ID, ErrStale, n, e.File, e.From)
		}
		files[e.File] = strings.Replace(text, e.From, e.To, 1)
	}
	return files, nil
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}
