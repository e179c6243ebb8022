package suite

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cartwheel/harness"
)

const workloadsFile = "../../docs/WORKLOADS.md"

var rewriteDocs = flag.Bool("rewrite", false, "write docs/WORKLOADS.md anew from the workloads")

const workloadsHead = `# Workloads

What clients do in a run, from the code (` + "`make golden`" + ` writes this table). ` + "`--workload NAME`" + ` chooses one, ` + "`sim --workload all`" + ` all
that a correct store passes. **Broken** ones ask for what the store does not promise under these terms, and must be found invalid:
they test the tester. An event that a run's faults can bring about and that did not happen makes the run ` + "`unknown`" + `.

| workload | what | requests | store | events that must be seen |
| --- | --- | --- | --- | --- |
`

// TestGoldenWorkloads holds docs/WORKLOADS.md to the workloads; -rewrite writes it.
func TestGoldenWorkloads(t *testing.T) {
	var b strings.Builder
	b.WriteString(workloadsHead)
	for _, name := range Workloads() {
		w, err := Workload(name)
		if err != nil {
			t.Fatal(err)
		}
		if w.Name != name || w.Doc == "" {
			t.Errorf("%s calls itself %q: %q", name, w.Name, w.Doc)
		}
		title := "`" + name + "`"
		if slices.Contains(broken, name) {
			title += " **broken**"
		}
		var events []string
		for _, e := range w.Events {
			events = append(events, e.Name)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", title, w.Doc, terms(w), setUp(w.Store), strings.Join(events, "; "))
	}
	if *rewriteDocs {
		if err := os.WriteFile(workloadsFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text, err := os.ReadFile(workloadsFile); err != nil || string(text) != b.String() {
		t.Errorf("%s is not what the workloads say (%v): run 'make golden' and read the diff", workloadsFile, err)
	}
}

// terms are a workload's quorums; what is not said is up to the key's bucket.
func terms(w harness.Workload) string {
	var words []string
	if w.Read.R > 0 || w.Write.W > 0 {
		words = append(words, fmt.Sprintf("R=%d W=%d", w.Read.R, w.Write.W))
	}
	switch {
	case w.Read.Strict && w.Write.Strict:
		words = append(words, "strict")
	case w.Read.R > 0:
		words = append(words, "sloppy")
	}
	if w.Read.Repair != "" {
		words = append(words, "repair "+w.Read.Repair)
	}
	if w.Write.Durability != "" {
		words = append(words, "durability "+w.Write.Durability)
	}
	if w.Write.Attempts > 1 {
		words = append(words, fmt.Sprintf("%d attempts", w.Write.Attempts))
	}
	if len(words) == 0 {
		return "by the bucket"
	}
	return strings.Join(words, ", ")
}

// setUp is how a workload wants the nodes, where that is not the default.
func setUp(o harness.StoreOptions) string {
	var words []string
	if o.NoAntiEntropy {
		words = append(words, "no anti-entropy")
	}
	if o.HintBytes > 0 {
		words = append(words, fmt.Sprintf("room for %d B of hints", o.HintBytes))
	}
	if o.HintRate > 0 {
		words = append(words, fmt.Sprintf("%d B of hints a second", o.HintRate))
	}
	if o.FlushAfter > 0 {
		words = append(words, fmt.Sprintf("flushes after %v", o.FlushAfter))
	}
	if o.TombstoneInterval > 0 {
		words = append(words, fmt.Sprintf("collects tombstones every %v", o.TombstoneInterval))
	}
	return strings.Join(words, ", ")
}
