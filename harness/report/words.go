package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cartwheel/harness"
)

// percent shows a share so that 100% means all of it and 0% none.
func percent(share float64) string {
	switch {
	case share >= 1:
		return "100%"
	case share <= 0:
		return "0%"
	case share > 0.9995:
		return ">99.9%"
	case share < 0.0005:
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// short shows a duration in three significant digits, which is all that a reader compares.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < 100*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// instant shows a time since the run began.
func instant(d time.Duration) string { return fmt.Sprintf("+%.3f s", d.Seconds()) }

func span(start, stop time.Duration) string {
	return fmt.Sprintf("%.2f – %.2f s", start.Seconds(), stop.Seconds())
}

// count shows a number with its noun in the right form.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands groups digits by threes with thin spaces.
func thousands(n int) string {
	s := fmt.Sprint(n)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	var groups []string
	for len(s) > 3 {
		groups = append(groups, s[len(s)-3:])
		s = s[:len(s)-3]
	}
	groups = append(groups, s)
	slices.Reverse(groups)
	out := strings.Join(groups, "\u2009")
	if neg {
		out = "−" + out
	}
	return out
}

func faultTitle(f harness.Fault) string {
	return strings.TrimSpace(f.Kind + " " + f.Name)
}

// allFaults lists the faults that struck and, after them, those that were planned only.
func allFaults(res harness.Result) []harness.FaultRecord {
	all := slices.Clone(res.Faults)
	for _, f := range res.Plan.Schedule {
		if !slices.ContainsFunc(res.Faults, func(r harness.FaultRecord) bool { return r.Fault.ID == f.ID }) {
			all = append(all, harness.FaultRecord{Fault: f})
		}
	}
	return all
}

// targetMax bounds what is told of a fault's targets, in characters; a cluster of a
// hundred nodes has ten thousand links.
const targetMax = 160

// faultTarget says in words whom a fault hit, as it was resolved.
func faultTarget(f harness.Fault) string {
	whom := faultNodes(f)
	if f.Role == nil {
		return whom
	}
	role := f.Role.Name
	if f.Role.Key != "" {
		role += " of " + f.Role.Key
	}
	return clip(strings.TrimSuffix(role+": "+whom, ": "), targetMax)
}

func faultNodes(f harness.Fault) string {
	if len(f.Links) > 0 {
		if split := sides(f.Links); split != "" {
			return clip(split, targetMax)
		}
	}
	var parts []string
	if len(f.Nodes) > 0 {
		parts = append(parts, nodeList(f.Nodes))
	}
	if len(f.Links) > 0 {
		parts = append(parts, links(f.Links))
	}
	whom := strings.Join(parts, ": ")
	if f.Spare != "" {
		whom = strings.TrimSpace(whom + " +" + string(f.Spare))
	}
	return clip(whom, targetMax)
}

// sides shows links that cut everything between two sets of nodes: "n1 n2 ⇹ n3 n4 n5",
// or "n1 n2 ⇸ n3" if it is one way only. It is empty if the links are anything else.
func sides(ls []harness.Link) string {
	have := make(map[harness.Link]bool, len(ls))
	out := make(map[harness.NodeID][]harness.NodeID)
	var froms []harness.NodeID
	for _, l := range ls {
		if have[l] {
			continue
		}
		have[l] = true
		if out[l.From] == nil {
			froms = append(froms, l.From)
		}
		out[l.From] = append(out[l.From], l.To)
	}
	if len(froms) == 0 {
		return ""
	}
	right := out[froms[0]]
	var left []harness.NodeID
	for _, n := range froms {
		if !slices.Contains(right, n) {
			left = append(left, n)
		}
	}
	there, back := 0, 0
	for _, l := range left {
		for _, r := range right {
			if have[harness.Link{From: l, To: r}] {
				there++
			}
			if have[harness.Link{From: r, To: l}] {
				back++
			}
		}
	}
	all := len(left) * len(right)
	switch {
	case there == all && back == all && len(have) == 2*all:
		return nodeList(left) + " ⇹ " + nodeList(right)
	case there == all && back == 0 && len(have) == all:
		return nodeList(left) + " ⇸ " + nodeList(right)
	}
	return ""
}

func nodeList(nodes []harness.NodeID) string {
	s := make([]string, len(nodes))
	for i, n := range nodes {
		s[i] = string(n)
	}
	return strings.Join(s, " ")
}

// links shows cut links with both directions folded into one arrow and grouped by
// their first node: "n1 ⇹ n3 n4; n2 → n5".
func links(ls []harness.Link) string {
	have := make(map[harness.Link]bool, len(ls))
	for _, l := range ls {
		have[l] = true
	}
	type group struct {
		from  harness.NodeID
		arrow string
	}
	var order []group
	to := make(map[group][]harness.NodeID)
	seen := make(map[harness.Link]bool)
	for _, l := range ls {
		back := harness.Link{From: l.To, To: l.From}
		if seen[l] || seen[back] && have[back] {
			continue
		}
		seen[l] = true
		g := group{l.From, "⇸"}
		if have[back] {
			g.arrow = "⇹"
		}
		if _, ok := to[g]; !ok {
			order = append(order, g)
		}
		to[g] = append(to[g], l.To)
	}
	out := make([]string, len(order))
	for i, g := range order {
		out[i] = fmt.Sprintf("%s %s %s", g.from, g.arrow, nodeList(to[g]))
	}
	return strings.Join(out, "; ")
}

// opLabel names an operation in few characters: what it means if the workload says so.
func opLabel(op harness.Op) string {
	switch {
	case op.Action != "" && op.Element != "":
		return op.Action + " " + op.Element
	case op.F == harness.Put:
		return "put " + valueLabel(op.Value)
	}
	return op.F
}

// valueLabel names a value: by its id if it has one, as the stories do, or by its text.
func valueLabel(value string) string {
	id, _ := parseValue(value)
	return id
}

// valueText shows a value in full: its id and its items, or its text.
func valueText(value string) string {
	id, items := parseValue(value)
	if items == nil {
		return id
	}
	return id + " {" + strings.Join(items, " ") + "}"
}

func parseValue(value string) (id string, items []string) {
	var v struct {
		ID    string   `json:"id"`
		Items []string `json:"items"`
	}
	if !strings.HasPrefix(value, "{") || json.Unmarshal([]byte(value), &v) != nil || v.ID == "" {
		return value, nil
	}
	return v.ID, v.Items
}

// seen shows what a completion returned, by the names of the values.
func seen(sibs []harness.Sibling) string {
	if len(sibs) == 0 {
		return "nothing"
	}
	out := make([]string, len(sibs))
	for i, s := range sibs {
		out[i] = valueLabel(s.Value)
		if s.Tombstone {
			out[i] = "deleted"
		}
	}
	return strings.Join(out, ", ")
}

// clip cuts text to n runes, the last of them an ellipsis.
func clip(s string, n int) string {
	if n < 1 {
		return ""
	}
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
