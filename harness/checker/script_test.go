package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// parseHistory reads a history in a short form, a line an event, a millisecond each
// unless one says at=: "0 put x a", then "0 ok sees=a token=t"; or both in one line.
// Siblings are values, or -name for a tombstone of that write. "final n1 x sees=a" is a
// replica read, "fault f1 inject kind name nodes=.. links=.." a nemesis line.
func parseHistory(text string) ([]harness.Op, error) {
	p := parser{open: make(map[int]harness.Op)}
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := p.line(fields); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	return p.h, history.Validate(p.h)
}

type parser struct {
	h    []harness.Op
	now  time.Duration
	open map[int]harness.Op // by process
}

func (p *parser) add(op harness.Op) {
	op.Index, op.Time = len(p.h), p.now
	if op.Phase == "" {
		op.Phase = harness.Load
	}
	p.h = append(p.h, op)
}

var kinds = []string{"ok", "fail", "info"}

func (p *parser) line(fields []string) error {
	p.now += time.Millisecond
	options := make(map[string]string)
	var words []string
	for _, f := range fields {
		if name, value, ok := strings.Cut(f, "="); ok {
			options[name] = value
		} else {
			words = append(words, f)
		}
	}
	if at, ok := options["at"]; ok {
		d, err := time.ParseDuration(at)
		if err != nil {
			return err
		}
		p.now = d
	}
	switch words[0] {
	case "final":
		op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.ReplicaRead, Phase: harness.Final, Node: harness.NodeID(words[1]), Key: words[2]}
		p.add(op)
		p.complete(op, append(words[3:], "ok")[0], options)
		return nil
	case "audit":
		op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.Audit, Phase: harness.Final, Node: harness.NodeID(words[1])}
		p.add(op)
		op.Kind = harness.Kind(append(words[2:], "ok")[0])
		if op.Kind != harness.OK {
			op.Error = "refused"
		}
		for _, kind := range strings.FieldsFunc(options["flaws"], func(r rune) bool { return r == ',' }) {
			op.Flaws = append(op.Flaws, harness.Flaw{Kind: kind, Count: 1, What: "a " + kind})
		}
		p.add(op)
		return nil
	case "settle":
		op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: "settle", Phase: harness.Settle}
		p.add(op)
		op.Kind, op.Error = harness.OK, strings.Join(words[1:], " ")
		if op.Error != "" {
			op.Kind = harness.Info
		}
		p.add(op)
		return nil
	case "fault":
		return p.fault(words, options)
	}
	process, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	words = words[1:]
	if !slices.Contains(kinds, words[0]) {
		op, n, err := invocation(words, options)
		if err != nil {
			return err
		}
		op.Process, op.Kind, op.Node = process, harness.Invoke, harness.NodeID(options["node"])
		p.add(op)
		p.open[process] = op
		words = words[n:]
	}
	if len(words) == 0 {
		return nil
	}
	op, ok := p.open[process]
	if !ok {
		return errors.New("no operation is open")
	}
	p.complete(op, words[0], options)
	return nil
}

// invocation reads "get x", "put x a", "delete x", "add x a e" or "remove x a e"; "inc c v 1
// up=s1:1" and "dec c v 1 up=s1:1 down=s1:1" of a counter on siblings, "tally c 3" of one that
// the store keeps. "into s 1" adds to a set, "append l 1" to a list, both are shown as
// holds=1,2; "cas x a b" sets b if the value is a.
func invocation(words []string, options map[string]string) (harness.Op, int, error) {
	op := harness.Op{F: words[0], Context: []byte(options["ctx"])}
	n := map[string]int{"get": 2, "delete": 2, "put": 3, "add": 4, "remove": 4, "inc": 4, "dec": 4, "tally": 3, "into": 3, "append": 3, "cas": 4}[words[0]]
	if n == 0 || len(words) < n {
		return op, 0, fmt.Errorf("cannot %v", words)
	}
	op.Key = words[1]
	if n > 2 {
		op.Value = words[2]
	}
	switch words[0] {
	case "cas":
		op.Element, op.Value = words[2], words[3]
	case "append":
		op.Value, op.Element = "", words[2]
	case "tally", "into":
		op.F, op.Value, op.Element = harness.Add, "", words[2]
	case "inc", "dec":
		op.F, op.Action, op.Element = harness.Put, map[string]string{"inc": Increment, "dec": Decrement}[words[0]], words[3]
		op.Value = counterValue(words[2], options["up"], options["down"])
	case "add", "remove":
		op.F, op.Action, op.Element = harness.Put, words[0], words[3]
		op.Value = cartValue(words[2], options["items"])
	}
	return op, n, nil
}

func counterValue(id, up, down string) string {
	sums := func(list string) map[string]int {
		m := map[string]int{}
		for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
			who, n, _ := strings.Cut(f, ":")
			m[who], _ = strconv.Atoi(n)
		}
		return m
	}
	b, err := json.Marshal(map[string]any{"id": id, "up": sums(up), "down": sums(down)})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func cartValue(id, items string) string {
	list := []string{}
	if items != "" {
		list = strings.Split(items, ",")
	}
	b, err := json.Marshal(map[string]any{"id": id, "items": list})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (p *parser) complete(op harness.Op, kind string, options map[string]string) {
	op.Kind, op.Write = harness.Kind(kind), options["name"]
	if op.Kind == harness.OK {
		op.Token, op.State = []byte(options["token"]), options["state"]
		for _, s := range strings.FieldsFunc(options["sees"], func(r rune) bool { return r == ',' }) {
			op.Siblings = append(op.Siblings, p.sibling(op.Key, s))
		}
		if items, ok := options["holds"]; ok {
			op.Siblings = append(op.Siblings, harness.Sibling{Value: cartValue("", items)})
		}
	} else if op.F != harness.CAS || op.Kind != harness.Fail { // which says that the value was another
		op.Error = "refused"
	}
	op.GivenUp = op.Kind != harness.OK && options["given-up"] == "yes"
	if acks, ok := options["acks"]; ok {
		op.Meta = &harness.Meta{Coordinator: op.Node, Forwarded: options["forwarded"] == "yes"}
		for _, a := range strings.Split(acks, ",") {
			node, owner, hinted := strings.Cut(a, "/")
			r := harness.Reply{Node: harness.NodeID(node), State: "ok"}
			if hinted {
				r.For = harness.NodeID(owner)
				op.Meta.Hinted++
			}
			op.Meta.Replies = append(op.Meta.Replies, r)
		}
	}
	p.add(op)
}

// sibling finds a value by its id, where it has one.
func (p *parser) sibling(key, s string) harness.Sibling {
	if name, ok := strings.CutPrefix(s, "-"); ok {
		return harness.Sibling{Tombstone: true, Write: name}
	}
	for _, op := range p.h {
		if op.Key == key && op.F == harness.Put && op.Element != "" && label(op.Value) == s {
			s = op.Value
			break
		}
	}
	return harness.Sibling{Value: s}
}

// fault reads "f1 inject kind name nodes=n1,n2 cut=n1-n3" and "f1 heal".
func (p *parser) fault(words []string, options map[string]string) error {
	f := &harness.Fault{ID: words[1], Kind: "partition", Name: "halves"}
	if len(words) > 4 {
		f.Kind, f.Name = words[3], words[4]
	}
	for _, op := range p.h {
		if op.Fault != nil && op.Fault.ID == f.ID {
			f = op.Fault
		}
	}
	for _, n := range strings.FieldsFunc(options["nodes"], func(r rune) bool { return r == ',' }) {
		f.Nodes = append(f.Nodes, harness.NodeID(n))
	}
	for _, l := range strings.FieldsFunc(options["cut"], func(r rune) bool { return r == ',' }) {
		a, b, _ := strings.Cut(l, "-")
		from, to := harness.NodeID(a), harness.NodeID(b)
		f.Links = append(f.Links, harness.Link{From: from, To: to}, harness.Link{From: to, To: from})
	}
	switch options["disk"] {
	case "full":
		f.Disk = &harness.DiskFault{Full: true}
	case "slow":
		f.Disk = &harness.DiskFault{Slow: time.Second}
	case "rotten":
		f.Disk = &harness.DiskFault{Rotten: 1}
	}
	op := harness.Op{Process: harness.NemesisProcess, Kind: harness.Invoke, F: f.Kind, Action: words[2], Fault: f}
	p.add(op)
	p.now += time.Millisecond
	op.Kind = harness.OK
	e := harness.Evidence{Injected: p.now}
	if words[2] == healAction {
		e.Healed = p.now
	}
	op.Evidence = &e
	p.add(op)
	return nil
}

func must(t testing.TB, text string) []harness.Op {
	t.Helper()
	h, err := parseHistory(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func checkerNamed(t testing.TB, name string) harness.Checker {
	t.Helper()
	c, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != name {
		t.Fatalf("checker %q calls itself %q", name, c.Name())
	}
	return c
}

// scriptOptions are what stands beside the checkers' names in a script.
var scriptOptions = []string{"figures", "mode", "clients-retry", "told", "asked", "strict", "world", "collects", "uncompared", "routed"}

// TestLitmusScripts judges small histories, one a rule, each with the reason for its verdict.
func TestLitmusScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/litmus", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			h := must(t, d.Input)
			var out strings.Builder
			switch d.Cmd {
			case "check":
				var claims Claims
				if d.HasArg("mode") {
					d.ScanArgs(t, "mode", (*string)(&claims.Mode))
				}
				claims.Sessions, claims.all, claims.Collects = d.HasArg("clients-retry"), d.HasArg("told"), d.HasArg("collects")
				claims.Uncompared = d.HasArg("uncompared")
				for _, arg := range d.CmdArgs {
					if slices.Contains(scriptOptions, arg.Key) {
						continue
					}
					c := Under(claims, checkerNamed(t, arg.Key))[0]
					if b, ok := c.(harness.Briefed); ok && d.HasArg("asked") {
						c = b.Brief(planned(t, d))
					}
					writeFinding(&out, c.Check(t.Context(), h), d.HasArg("figures"))
				}
			case "events":
				for _, e := range []harness.Event{Hinted(), SiblingsMerged(), MinorityAck(), Repaired(), StaleRead(), Branched(), Forwarded(), Collected(), Anew()} {
					fmt.Fprintf(&out, "%-40s %d\n", e.Name, e.Count(h))
				}
			default:
				d.Fatalf(t, "no command %q", d.Cmd)
			}
			return out.String()
		})
	})
}

// planned reads what a run set out to do: asked=2 is R and W, of n1 to n5; strict quorums or not; in a world.
func planned(t *testing.T, d *datadriven.TestData) harness.Plan {
	p := harness.Plan{World: "sim"}
	for i := range 5 {
		p.Nodes = append(p.Nodes, harness.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	d.ScanArgs(t, "asked", &p.Read.R)
	p.Write.W = p.Read.R
	p.Read.Strict, p.Write.Strict = d.HasArg("strict"), d.HasArg("strict")
	p.Store.Routed = d.HasArg("routed")
	if d.HasArg("world") {
		d.ScanArgs(t, "world", &p.World)
	}
	return p
}

func writeFinding(out *strings.Builder, f harness.Finding, figures bool) {
	fmt.Fprintf(out, "%s: %s: %s\n", f.Checker, f.Verdict, f.Summary)
	for _, a := range f.Anomalies {
		fmt.Fprintf(out, "  %s key=%s element=%s ops=%v\n", a.Kind, a.Key, label(a.Element), a.Ops)
		for _, s := range a.Story {
			fmt.Fprintf(out, "    %s\n", s)
		}
	}
	if figures {
		for _, name := range sortedKeys(f.Figures) {
			fmt.Fprintf(out, "  %s = %.3g\n", name, f.Figures[name])
		}
	}
}
