package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

var keep = flag.String("keep", "", "folder to leave the fixture's report in, for looking at it")

// write makes a report and returns its page.
func write(t *testing.T, res harness.Result, h []harness.Op) (dir, html string) {
	t.Helper()
	dir = t.TempDir()
	if err := Write(dir, res, h); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, IndexFile))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(data)
}

func TestPageTellsTheWholeStory(t *testing.T) {
	f := newFixture()
	res := f.result()
	dir, html := write(t, res, f.lines)
	if *keep != "" {
		if err := Write(*keep, res, f.lines); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"verdict":             `<b class="verdict">invalid</b>`,
		"headline":            "An acknowledged write was lost",
		"further reason":      "The copies of 1 of 5 keys differ.",
		"story":               "the two writes are concurrent",
		"lanes":               `<svg class="lanes"`,
		"graph":               `<svg class="graph"`,
		"lost write in lanes": `class="call ok lost"`,
		"lost write in graph": `class="copies lost"`,
		"token's journey":     `class="token"`,
		"stand-in":            "for n1",
		"fault band":          `id="fault-f2"`,
		"failing probe":       "15.000 s: n2-&gt;n1 open: yes ✗",
		"value in full":       "w3 {milk flour}",
		"unseen event":        `<td>siblings were merged</td><td class="n bad">0</td>`,
		"one-way arrow":       "n2 ⇸ n1 n3",
		"both-way arrow":      "n1 n2 ⇹ n3 n4 n5",
		"differing copies":    `<td class="cell s1" title="n3: w3">B</td>`,
		"repeat":              "--nemesis partition,pause --time 30s --seed 4711",
		"latency table":       "p99.9",
		"embedded picture":    "srcdoc=\"&lt;!doctype html&gt;",
		"options":             "R=2, W=2",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%s: the page lacks %q", name, want)
		}
	}
	if n := strings.Count(html, `class="plot"`); n != 3 {
		t.Errorf("got %d plots, want 3", n)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "porcupine.html"))
	if err != nil || !bytes.Contains(picture, []byte("drawn")) {
		t.Errorf("porcupine.html: got %q, %v, want the checker's picture", picture, err)
	}
}

// A link to an operation or a fault must lead somewhere on the page.
func TestLinksLeadSomewhere(t *testing.T) {
	f := newFixture()
	_, html := write(t, f.result(), f.lines)
	links := regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(links) < 30 {
		t.Fatalf("got %d links within the page, want at least those of the proof", len(links))
	}
	for _, l := range links {
		if n := strings.Count(html, fmt.Sprintf(`id="%s"`, l[1])); n != 1 {
			t.Errorf("#%s: got %d targets, want 1", l[1], n)
		}
	}
}

// The page must open offline, and what it draws must be whole XML.
func TestPageIsSelfContained(t *testing.T) {
	f := newFixture()
	_, html := write(t, f.result(), f.lines)
	outside := regexp.MustCompile(`(?:src|href)="(https?:)?//|@import|url\((?:["']?)https?:`)
	if got := outside.FindString(html); got != "" {
		t.Errorf("the page asks the network: %q", got)
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %.300s", err, svg)
			}
		}
		if got := regexp.MustCompile(`#[0-9A-F]{6}\b`).FindString(svg); got != "" {
			t.Errorf("a plot has the fixed colour %s, which will not do in the dark", got)
		}
	}
}

// Keys, values and errors come from a store under test: they are data, never markup.
func TestHostileTextIsShownAsText(t *testing.T) {
	const evil = `"><script>alert(1)</script>&`
	f := newFixture()
	res := f.result()
	for i := range f.lines {
		f.lines[i].Value += evil
		f.lines[i].Key += evil
		f.lines[i].Element += evil
		f.lines[i].Error += evil
		for j := range f.lines[i].Siblings {
			f.lines[i].Siblings[j].Value += evil
		}
	}
	for i := range res.Findings {
		for j := range res.Findings[i].Anomalies {
			res.Findings[i].Anomalies[j].Key += evil
			res.Findings[i].Anomalies[j].Story[0] += evil
		}
	}
	for i := range res.Faults {
		res.Faults[i].Fault.Name += evil
	}
	res.Reasons[0] += evil
	_, html := write(t, res, f.lines)
	if strings.Contains(html, "<script") {
		i := strings.Index(html, "<script")
		t.Errorf("markup got through: %q", html[max(0, i-200):i+40])
	}
}

func TestPoorResultsStillHaveAPage(t *testing.T) {
	f := newFixture()
	dangling := f.result()
	dangling.Findings[1].Anomalies[0].Ops = []int{-1, 999_999}
	for _, c := range []struct {
		name string
		res  harness.Result
		h    []harness.Op
		want string
	}{
		{"nothing at all", harness.Result{Verdict: harness.Unknown}, nil, "Nothing can be said"},
		{"no history", f.result(), nil, "An acknowledged write was lost"},
		{"proof that is not in the history", dangling, f.lines[:40], "the two writes are concurrent"},
		{"an invocation only", harness.Result{Verdict: harness.Unknown, Reasons: []string{"killed"}}, f.lines[:1], "killed"},
		{"valid without reasons", harness.Result{Verdict: harness.Valid}, f.lines, "Every checker is content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, html := write(t, c.res, c.h); !strings.Contains(html, c.want) {
				t.Errorf("the page lacks %q", c.want)
			}
		})
	}
}

func TestLongHistoryKeepsThePageSmall(t *testing.T) {
	f := newFixture()
	short, long := f.lines, make([]harness.Op, 0, 8*len(f.lines))
	for round := range 8 {
		for _, op := range short {
			op.Index, op.Process = len(long), op.Process+1000*round
			op.Time += time.Duration(round) * 40 * time.Second
			long = append(long, op)
		}
	}
	_, html := write(t, f.result(), long)
	if len(html) > 2<<20 {
		t.Errorf("got a page of %d bytes for %d lines, want at most 2 MiB", len(html), len(long))
	}
	if n := strings.Count(html, `id="op-`); n > 2*opRowsMax+50 {
		t.Errorf("got %d rows of operations, want about %d at most", n/2, opRowsMax)
	}
}

func TestTextTellsTheSameStory(t *testing.T) {
	f := newFixture()
	res := f.result()
	res.Dir = "results/x"
	var buf bytes.Buffer
	if err := Text(&buf, res); err != nil {
		t.Fatal(err)
	}
	got := buf.String()
	if !strings.HasPrefix(got, "INVALID: An acknowledged write was lost") {
		t.Errorf("the verdict does not come first:\n%s", got)
	}
	if !strings.HasSuffix(got, "report: results/x/index.html\n") {
		t.Errorf("the page does not come last:\n%s", got)
	}
	if strings.Contains(got, "\x1b") {
		t.Error("colours without a terminal")
	}
	for _, want := range []string{
		"the two writes are concurrent", "1. lost-write eggs, key cart:17", "proof: operations ",
		"NOT PROVEN", "n2->n1 was open during the fault", "444 packets dropped", "0  siblings were merged",
		"repeat: cartwheel test",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the text lacks %q:\n%s", want, got)
		}
	}
}

// A store that was broken on purpose must not look like one that is broken.
func TestAPlantedBugIsNamed(t *testing.T) {
	res := harness.Result{Verdict: harness.Invalid, Plan: harness.Plan{Suite: "cart", World: "sim", Mutant: "M48"}}
	dir := t.TempDir()
	var told strings.Builder
	if err := errors.Join(Write(dir, res, nil), Text(&told, res)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || !strings.Contains(string(page), "bug M48 planted in the store") {
		t.Errorf("%v; the page does not name the bug", err)
	}
	if !strings.Contains(told.String(), "bug M48 is planted in the store") {
		t.Errorf("the text does not name the bug:\n%s", &told)
	}
}

func TestPlanTellsWhatIsToCome(t *testing.T) {
	var buf bytes.Buffer
	if err := Plan(&buf, newFixture().result().Plan); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nemesis partition,pause", "seed 4711", "5 nodes, 10 clients", "f3   partition one-way", "15.00s-19.20s", "n2 ⇸ n1 n3", "repeat: cartwheel test"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("the plan lacks %q:\n%s", want, buf.String())
		}
	}
}

func TestTextReportsAWriterThatFails(t *testing.T) {
	r, w := io.Pipe()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Text(w, newFixture().result()); err == nil {
		t.Error("got no error from a closed pipe")
	}
}
