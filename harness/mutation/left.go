package mutation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A LeftOut is a bug of the catalogue that is not planted, and why.
type LeftOut struct {
	ID     string
	Title  string
	Why    Why
	Reason string // one sentence
}

// Why a bug is not planted.
type Why string

// Reasons to leave a bug out.
const (
	Absent     Why = "absent"     // the store has no such mechanism to break
	Equivalent Why = "equivalent" // breaking it changes nothing that anyone could see
	Unseen     Why = "unseen"     // a client's history cannot show it; a test of the package does
	Open       Why = "open"       // it could be planted, and is not yet
)

// LeftOuts lists the bugs of the catalogue that are not planted, by id. With
// [Catalogue] they make up the whole of it.
func LeftOuts() ([]LeftOut, error) {
	text, err := catalogue.ReadFile("catalogue/left-out.tsv")
	if err != nil {
		return nil, fmt.Errorf("read what is left out: %w", err)
	}
	return parseLeftOut(string(text))
}

// parseLeftOut reads lines "id TAB title TAB why TAB reason"; "#" begins a comment.
func parseLeftOut(text string) ([]LeftOut, error) {
	var all []LeftOut
	var errs []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 || !slices.Contains([]Why{Absent, Equivalent, Unseen, Open}, Why(f[2])) || f[1] == "" || f[3] == "" {
			errs = append(errs, fmt.Errorf("line %d: want id, title, why (%s, %s, %s or %s) and a reason between tabs, got %q", n, Absent, Equivalent, Unseen, Open, line))
			continue
		}
		if slices.ContainsFunc(all, func(l LeftOut) bool { return l.ID == f[0] }) {
			errs = append(errs, fmt.Errorf("line %d: %s is there twice", n, f[0]))
		}
		all = append(all, LeftOut{f[0], f[1], Why(f[2]), f[3]})
	}
	return all, errors.Join(errs...)
}
