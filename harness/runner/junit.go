package runner

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"cartwheel/harness"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string    `xml:"classname,attr"`
	Name    string    `xml:"name,attr"`
	Failure *junitBad `xml:"failure,omitempty"`
	Error   *junitBad `xml:"error,omitempty"`
}

type junitBad struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes a result for CI systems: one case a checker, and one for the run as a
// whole. Invalid is a failure; unknown is an error, so that it never counts as a pass.
func JUnit(w io.Writer, res harness.Result) error {
	s := junitSuite{Name: res.Plan.Suite, Stamp: res.Started.UTC().Format("2006-01-02T15:04:05")}
	for _, p := range res.Phases {
		s.Time = fmt.Sprintf("%.3f", p.End.Seconds())
	}
	add := func(name string, v harness.Verdict, message, text string) {
		c := junitCase{Class: "cartwheel." + res.Plan.Suite, Name: name}
		bad := &junitBad{Message: printable(message), Text: printable(text)}
		switch v {
		case harness.Valid:
		case harness.Invalid:
			c.Failure = bad
			s.Failures++
		default:
			c.Error = bad
			s.Errors++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	for _, f := range res.Findings {
		var story []string
		for _, a := range f.Anomalies {
			story = append(story, fmt.Sprintf("%s, key %s:\n  %s", a.Kind, a.Key, strings.Join(a.Story, "\n  ")))
		}
		add(f.Checker, f.Verdict, f.Summary, strings.Join(story, "\n"))
	}
	headline := ""
	if len(res.Reasons) > 0 {
		headline = res.Reasons[0]
	}
	add("verdict", res.Verdict, headline, strings.Join(append(res.Reasons, "repeat: "+res.Plan.Repeat), "\n"))
	var buf bytes.Buffer
	buf.WriteString(xml.Header)
	enc := xml.NewEncoder(&buf)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("encode junit: %w", err)
	}
	buf.WriteByte('\n')
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	return nil
}

// printable leaves out what XML cannot hold.
func printable(s string) string { return strings.ToValidUTF8(s, "?") }
