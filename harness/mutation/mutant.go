package mutation

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Mutant is a planted bug and the promise to find it.
type Mutant struct {
	ID        string `json:"id"`        // "M48", for ever the same
	Title     string `json:"title"`     // a few words for tables
	Mechanism string `json:"mechanism"` // one sentence: what goes wrong, and what a client loses by it
	Checker   string `json:"checker"`   // the checker that must report it ...
	Kind      string `json:"kind"`      // ... as this kind of anomaly
	Workload  string `json:"workload"`  // under this workload ...
	Nemesis   string `json:"nemesis"`   // ... and this nemesis
	// Unseen is a nemesis under which the same workload must not show the bug: that of Nemesis alone does.
	Unseen string `json:"unseen,omitempty"`
	Gate   bool   `json:"gate,omitempty"`   // of the first gate: hunted by every CI run
	Docker bool   `json:"docker,omitempty"` // hunted in containers too
	Edits  []Edit `json:"edits"`
}

// An Edit replaces a text that stands exactly once in a file.
type Edit struct {
	File string `json:"file"` // below the module's root, with slashes
	From string `json:"from"`
	To   string `json:"to"`
}

//go:embed catalogue/*.txt catalogue/left-out.tsv
var catalogue embed.FS

// Catalogue returns all mutants that come with the harness, by id.
func Catalogue() ([]Mutant, error) {
	names, err := fs.Glob(catalogue, "catalogue/*.txt")
	if err != nil {
		return nil, fmt.Errorf("list mutants: %w", err)
	}
	var all []Mutant
	for _, name := range names {
		text, err := catalogue.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read mutant: %w", err)
		}
		m, err := Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("mutant %s: %w", path.Base(name), err)
		}
		if slices.ContainsFunc(all, func(o Mutant) bool { return o.ID == m.ID }) {
			return nil, fmt.Errorf("mutant %s: %s is there already", path.Base(name), m.ID)
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Mutant) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Parse reads a mutant. The text opens with lines "name: value"; "#" begins a comment
// there, and an indented line continues the value before it. Then come the edits, each
//
//	-- from FILE --
//	the text as it stands
//	-- to --
//	the text as it becomes
//
// whose last line breaks belong to the marks and not to the texts.
func Parse(text string) (Mutant, error) {
	var m Mutant
	head, edits, _ := strings.Cut("\n"+text, "\n-- from ")
	var errs []error
	for name, value := range fields(head) {
		if err := m.set(name, value); err != nil {
			errs = append(errs, err)
		}
	}
	if edits = strings.TrimSuffix(edits, "\n"); edits != "" {
		for part := range strings.SplitSeq(edits, "\n-- from ") {
			e, err := parseEdit(part)
			if err != nil {
				errs = append(errs, err)
			}
			m.Edits = append(m.Edits, e)
		}
	}
	return m, errors.Join(append(errs, m.validate())...)
}

// fields yields the header's names and values; the name is empty for a line that is neither.
func fields(head string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		var name, value string
		for line := range strings.Lines(head) {
			switch text := strings.TrimSpace(line); {
			case text == "" || strings.HasPrefix(line, "#"):
				continue
			case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
				value += " " + text
				continue
			default:
				if (name != "" || value != "") && !yield(name, value) {
					return
				}
				var ok bool
				if name, value, ok = strings.Cut(text, ":"); !ok {
					name, value = "", text
				}
				value = strings.TrimSpace(value)
			}
		}
		if name != "" || value != "" {
			yield(name, value)
		}
	}
}

func (m *Mutant) set(name, value string) error {
	texts := map[string]*string{
		"id": &m.ID, "title": &m.Title, "mechanism": &m.Mechanism, "checker": &m.Checker,
		"kind": &m.Kind, "workload": &m.Workload, "nemesis": &m.Nemesis, "unseen": &m.Unseen,
	}
	if flag := map[string]*bool{"gate": &m.Gate, "docker": &m.Docker}[name]; flag != nil {
		if value != "yes" {
			return fmt.Errorf("%s is %q, want yes or nothing at all", name, value)
		}
		*flag = true
		return nil
	}
	field, ok := texts[name]
	switch {
	case name == "":
		return fmt.Errorf("%q is not of the form name: value", value)
	case !ok:
		return fmt.Errorf("there is no field %q", name)
	case *field != "":
		return fmt.Errorf("%s is there twice", name)
	}
	*field = value
	return nil
}

func parseEdit(part string) (Edit, error) {
	mark, rest, _ := strings.Cut(part, "\n")
	file, ok := strings.CutSuffix(mark, " --")
	if !ok {
		return Edit{}, fmt.Errorf("%q: the mark is not closed by --", mark)
	}
	// The split took the last line break, which an empty replacement's mark needs.
	from, to, ok := strings.Cut("\n"+rest+"\n", "\n-- to --\n")
	if !ok {
		return Edit{}, fmt.Errorf("edit of %s has no -- to --", file)
	}
	return Edit{File: file, From: strings.TrimPrefix(from, "\n"), To: strings.TrimSuffix(to, "\n")}, nil
}

func (m Mutant) validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"id", m.ID},
		{"title", m.Title},
		{"mechanism", m.Mechanism},
		{"checker", m.Checker},
		{"kind", m.Kind},
		{"workload", m.Workload},
		{"nemesis", m.Nemesis},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("no %s", f.name))
		}
	}
	if len(m.Edits) == 0 {
		errs = append(errs, errors.New("no edit"))
	}
	for _, e := range m.Edits {
		if e.From == "" || e.From == e.To || !fs.ValidPath(e.File) {
			errs = append(errs, fmt.Errorf("edit of %q changes nothing", e.File))
		}
	}
	return errors.Join(errs...)
}
