package checker

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cartwheel/harness"
)

const guaranteesFile = "../../docs/GUARANTEES.md"

const guaranteesHead = `# Guarantees

What a Dynamo-style store may be held to depends on how it is asked. This table is made from the one that the checkers decide by
(` + "`harness/checker/promises.go`" + `; ` + "`make golden`" + ` writes it), so it cannot say one thing while they assert another.

**yes**: asserted, its absence is a bug and makes a run invalid. **measured**: may be violated legally, so it is counted and
never judged. **clients**: asserted where clients keep what they have seen and ask again until they see that much.

Modes: *write-back*: strict quorums with R+W > N, and reads that write back before they answer · *strict*: the same without writing back ·
*weak*: R+W <= N, only owners count · *sloppy*: stand-ins count, the usual mode · *lww*: the last write wins.

`

// TestGuaranteesGolden holds docs/GUARANTEES.md to the table; -rewrite writes it.
func TestGuaranteesGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString(guaranteesHead)
	b.WriteString("| property | checker |")
	for _, m := range Modes {
		fmt.Fprintf(&b, " %s |", m)
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Repeat("| --- ", len(Modes)+2)+"|")
	var notes []string
	for _, p := range promises {
		says := p.says
		if p.note != "" {
			if !slices.Contains(notes, p.note) {
				notes = append(notes, p.note)
			}
			says += fmt.Sprintf(" (%d)", slices.Index(notes, p.note)+1)
		}
		fmt.Fprintf(&b, "| %s | `%s` |", says, p.checker)
		for _, m := range Modes {
			fmt.Fprintf(&b, " %s |", p.in(m))
		}
		b.WriteString("\n")
	}
	b.WriteString("\nKinds of anomalies, by property:\n\n| kinds | property |\n| --- | --- |\n")
	for _, p := range promises {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Join(p.kinds, "` `"), p.says)
	}
	b.WriteString("\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, n)
	}
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(guaranteesFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(guaranteesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("%s is not what the table says: run 'make golden' and read the difference", guaranteesFile)
	}
}

func (p promise) in(m Mode) string {
	switch {
	case p.keep[m]:
		return "yes"
	case p.session:
		return "clients"
	}
	return "measured"
}

// TestTheTableIsSound: every row names a checker that there is, every kind is in one row,
// and a mode promises whatever a weaker one does.
func TestTheTableIsSound(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range promises {
		if _, err := Named(p.checker); err != nil {
			t.Errorf("%s: %v", p.says, err)
		}
		for _, kind := range p.kinds {
			if seen[kind] {
				t.Errorf("%s is in two rows", kind)
			}
			seen[kind] = true
		}
		for i, m := range Modes[:len(Modes)-1] {
			if p.keep[Modes[i+1]] && !p.keep[m] {
				t.Errorf("%s: promised by %s and not by %s", p.says, Modes[i+1], m)
			}
		}
	}
}

func TestClaimsFollowFromQuorums(t *testing.T) {
	for _, c := range []struct {
		r, w   int
		strict bool
		repair string
		want   Mode
	}{
		{2, 2, true, "blocking", WriteBack},
		{2, 2, true, "", Strict},
		{1, 3, true, "none", Strict},
		{1, 2, true, "blocking", Weak},
		{2, 2, false, "blocking", Sloppy},
		{0, 2, true, "", Sloppy},
	} {
		got := ClaimsOf(harness.ReadOptions{R: c.r, Strict: c.strict, Repair: c.repair}, harness.WriteOptions{W: c.w, Strict: c.strict}, 3)
		if got.Mode != c.want {
			t.Errorf("R=%d W=%d strict=%t repair=%q: %s, want %s", c.r, c.w, c.strict, c.repair, got.Mode, c.want)
		}
	}
}
