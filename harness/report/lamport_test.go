package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// A staleRead is a run of three nodes: client 0 writes v1 at n1, whose message to n3 is
// lost, and client 1 reads nothing at n3. What follows mends it.
type staleRead struct {
	res   harness.Result
	h     []harness.Op
	lines []trace.Line
}

const milli = time.Millisecond

func newStaleRead() *staleRead {
	s := &staleRead{}
	op := func(process int, kind harness.Kind, f string, node harness.NodeID, at time.Duration, value string) {
		o := harness.Op{Index: len(s.h), Time: at, Process: process, Kind: kind, F: f, Key: "k", Node: node, Phase: harness.Load}
		if f == harness.Put {
			o.Value = value
		}
		if kind == harness.OK && value != "" {
			o.Siblings = []harness.Sibling{{Value: value, Write: "w-" + value}}
		}
		s.h = append(s.h, o)
	}
	op(0, harness.Invoke, harness.Put, "n1", 10*milli, "v1")
	op(0, harness.OK, harness.Put, "n1", 20*milli, "v1")
	op(3, harness.Invoke, harness.Get, "n3", 30*milli, "")
	op(3, harness.OK, harness.Get, "n3", 40*milli, "")
	v1 := []harness.Sibling{{Write: "w-v1"}} // its value is too long for a trace
	s.message("a", trace.Client, trace.Request, "Put", "c0", "n1", 10, 12, v1)
	s.message("b", trace.Replicate, trace.Request, "ReplicaMerge", "n1", "n2", 13, 15, v1)
	s.message("b", trace.Replicate, trace.Reply, "ReplicaMerge", "n2", "n1", 16, 18, nil)
	s.message("c", trace.Replicate, trace.Request, "ReplicaMerge", "n1", "n3", 13, 900, v1).Fate = trace.Lost
	s.message("a", trace.Client, trace.Reply, "Put", "n1", "c0", 18, 20, v1)
	s.message("d", trace.Client, trace.Request, "Get", "c1", "n3", 30, 33, nil)
	s.message("d", trace.Client, trace.Reply, "Get", "n3", "c1", 36, 40, nil)
	s.message("e", trace.Ping, trace.Request, "Ping", "n2", "n3", 25, 27, nil).Key = ""
	hint := s.message("f", trace.Hint, trace.Request, "ReplicaMerge", "n1", "n2", 22, 29, v1)
	hint.For, hint.Tries = "n3", 2
	s.lines = append(
		s.lines,
		trace.Line{Event: trace.Kill, Node: "n2", Time: 35 * milli, Ended: 35 * milli},
		trace.Line{Event: trace.Left, Detail: "3 of 12 lines were left out"},
	)
	f1 := harness.Fault{ID: "f1", Kind: "partition", Name: "one-way", Nodes: []harness.NodeID{"n3"}, Links: []harness.Link{{From: "n1", To: "n3"}}}
	s.res = harness.Result{
		Plan:    harness.Plan{Suite: "weak", Nodes: []harness.NodeID{"n1", "n2", "n3"}, Concurrency: 2, Schedule: []harness.Fault{f1}},
		Verdict: harness.Invalid,
		Findings: []harness.Finding{{
			Checker: "zones", Verdict: harness.Invalid, Summary: "A read was stale.",
			Anomalies: []harness.Anomaly{{Kind: "stale-read", Key: "k", Ops: []int{0, 2}}},
		}},
		Faults: []harness.FaultRecord{{Fault: f1, Evidence: harness.Evidence{Injected: 11 * milli, Healed: 38 * milli}}},
	}
	return s
}

func (s *staleRead) message(call, what, kind, method string, from, to harness.NodeID, sent, ended int, vs []harness.Sibling) *trace.Line {
	s.lines = append(s.lines, trace.Line{
		Event: trace.Message, Call: call, What: what, Kind: kind, Method: method, From: from, To: to, Key: "k", Fate: trace.Delivered,
		Time: time.Duration(sent) * milli, Ended: time.Duration(ended) * milli, Versions: vs,
	})
	return &s.lines[len(s.lines)-1]
}

// page writes the report of the run with its trace.
func (s *staleRead) page(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trace.Sort(s.lines)
	if err := trace.Write(dir, s.lines); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, s.res, s.h); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, IndexFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheMessagesBehindAnAnomalyAreDrawn(t *testing.T) {
	html := newStaleRead().page(t)
	_, section, ok := strings.Cut(html, `<section id="trace"`)
	if !ok {
		t.Fatal("the page has no picture of the messages")
	}
	section, _, _ = strings.Cut(section, "</section>")
	for name, want := range map[string]string{
		"why":                        "stale-read on key k",
		"lanes of clients by thread": ">client 1</text>",
		"lanes of nodes":             ">n3</text>",
		"operation leads to its row": `<a href="#op-2">`,
		"operation and what it got":  "→ nothing",
		"request of a client":        `class="m client request"><title>c0 → n1: Put request, carries v1; sent +0.010 s, arrived after 2.00 ms; part of #0`,
		"value found by its write":   ">put v1</text>",
		"answer":                     `class="m client reply"`,
		"replication":                `class="m replicate request"`,
		"lost message":               `class="m replicate request lost"`,
		"cross":                      `class="cross"`,
		"hint names its owner":       ">v1 for n3</text>",
		"repeated message":           ">sent 2 times</text>",
		"noise":                      `class="m noise request"`,
		"noise is hidden":            `<input type="checkbox" id="trace-noise" class="t-noise"><label`,
		"others are not":             `<input type="checkbox" id="trace-hint" class="t-hint" checked><label`,
		"fault begins":               "f1 partition one-way begins: n1 ⇸ n3",
		"fault ends":                 "f1 partition one-way ends",
		"kill":                       `class="event kill"`,
		"what was left out":          "The file is cut: 3 of 12 lines were left out.",
		"file":                       `<a href="trace.jsonl">`,
		"details without versions":   "c1 → n3: Get request; sent",
	} {
		if !strings.Contains(section, want) {
			t.Errorf("%s: the picture lacks %q", name, want)
		}
	}
	if n := strings.Count(section, `class="m `); n != 9 {
		t.Errorf("got %d arrows, want 9: each message once", n)
	}
	if !strings.Contains(html, `<a href="#trace">Messages</a>`) {
		t.Error("the page's head does not lead to the picture")
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if n := strings.Count(html, fmt.Sprintf(`id="%s"`, link[1])); n != 1 {
			t.Errorf("#%s: got %d targets, want 1", link[1], n)
		}
	}
	wholeXML(t, section)
}

// wholeXML fails unless every drawing is well-formed.
func wholeXML(t *testing.T, html string) {
	t.Helper()
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %.300s", err, svg)
			}
		}
	}
}

// Arrows may cross, but never run back in time, and what is sent later is drawn lower.
func TestTimeRunsDown(t *testing.T) {
	s := newStaleRead()
	trace.Sort(s.lines)
	l := lamportOf(t, s)
	for i := 1; i < len(l.stops); i++ {
		if l.stops[i].y <= l.stops[i-1].y || l.stops[i].at <= l.stops[i-1].at {
			t.Errorf("stop %v at %.1f is not below %v at %.1f", l.stops[i].at, l.stops[i].y, l.stops[i-1].at, l.stops[i-1].y)
		}
	}
	if at := l.y(26 * milli); at <= l.y(25*milli) || at >= l.y(29*milli) {
		t.Errorf("an instant between two stops lies at %.1f, between %.1f and %.1f", at, l.y(25*milli), l.y(29*milli))
	}
	names := map[string][]float64{} // where labels stand, by lane and side
	for _, r := range l.arrows {
		if r.Arrived() && !r.noise && r.label != "" {
			lane := l.sideOf(r.To, r.From, r)
			for _, y := range names[lane] {
				if d := l.y(r.Ended) - y; d > -lamportLabel && d < lamportLabel {
					t.Errorf("two labels at %s are %.1f apart", lane, d)
				}
			}
			names[lane] = append(names[lane], l.y(r.Ended))
		}
	}
}

func lamportOf(t *testing.T, s *staleRead) *lamport {
	t.Helper()
	a := analyse(s.res, s.h)
	focus, ok := trace.FocusOf(s.res, s.h, s.lines)
	if !ok {
		t.Fatal("nothing to look at")
	}
	l := newLamport(a, focus, nil)
	l.collect(s.lines)
	l.lanesOf()
	l.axis()
	return l
}

// Of a busy key the proof and what moved its versions are drawn, the rest is counted.
func TestOtherOperationsGiveWayToTheProof(t *testing.T) {
	s := newStaleRead()
	for i := range 300 {
		call := fmt.Sprint("x", i)
		s.message(call, trace.Read, trace.Request, "ReplicaGet", "n2", "n1", 21, 22, nil)
		s.message(call, trace.Read, trace.Reply, "ReplicaGet", "n1", "n2", 23, 24, nil)
	}
	trace.Sort(s.lines)
	l := lamportOf(t, s)
	kinds := map[string]int{}
	for _, r := range l.arrows {
		kinds[r.What]++
	}
	if l.missing != 600 || kinds[trace.Read] != 0 || kinds[trace.Client] != 4 || kinds[trace.Replicate] != 3 || kinds[trace.Hint] != 1 {
		t.Errorf("got %v and %d that are not drawn", kinds, l.missing)
	}
}

func TestARunWithoutTraceHasNoPictureOfMessages(t *testing.T) {
	s := newStaleRead()
	_, html := write(t, s.res, s.h)
	if strings.Contains(html, "trace.jsonl") || strings.Contains(html, `id="trace"`) {
		t.Error("the page shows a trace that there is not")
	}
}

func TestATraceIsDataNeverMarkup(t *testing.T) {
	const evil = `"><script>alert(1)</script>&`
	s := newStaleRead()
	for i := range s.lines {
		s.lines[i].Detail += evil
		s.lines[i].Error = evil
		if len(s.lines[i].Versions) > 0 {
			s.lines[i].Versions = []harness.Sibling{{Value: evil}}
		}
	}
	if html := s.page(t); strings.Contains(html, "<script>alert") {
		t.Error("text of the trace became markup")
	}
}

func TestADamagedTraceIsAnError(t *testing.T) {
	s, dir := newStaleRead(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, trace.File), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, s.res, s.h); err == nil || !strings.Contains(err.Error(), "trace") {
		t.Errorf("got %v", err)
	}
}
