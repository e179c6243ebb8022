package checker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cartwheel/harness"
)

// labelMax bounds a value in a sentence, in characters.
const labelMax = 60

// instant tells a time since the run began.
func instant(d time.Duration) string { return fmt.Sprintf("+%.3f s", d.Seconds()) }

// count tells a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// label tells a value: the id of one that has an id, or else the value itself.
func label(value string) string {
	var v struct {
		ID string `json:"id"`
	}
	if strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), &v) == nil && v.ID != "" {
		value = v.ID
	}
	if value == "" {
		return `""`
	}
	if utf8.RuneCountInString(value) > labelMax {
		value = string([]rune(value)[:labelMax-1]) + "…"
	}
	return value
}

// title names an operation by what it means: "add e17", "put v3", "get".
func title(op harness.Op) string {
	switch {
	case op.Action != "" && op.Element != "":
		return op.Action + " " + op.Element
	case op.F == harness.Put:
		return "put " + label(op.Value)
	case op.F == harness.Add, op.F == harness.Append:
		return op.F + " " + label(op.Element)
	}
	return op.F
}

// element names what a write is about.
func element(op harness.Op) string {
	if op.Element != "" {
		return op.Element
	}
	return op.Value
}

// showing tells what an answer showed.
func showing(siblings []harness.Sibling) string {
	if len(siblings) == 0 {
		return "nothing"
	}
	var out []string
	for _, s := range siblings {
		if s.Tombstone {
			out = append(out, "a tombstone")
		} else {
			out = append(out, label(s.Value))
		}
	}
	slices.Sort(out)
	return "{" + strings.Join(out, ", ") + "}"
}

// said tells an operation in full: what it was, its number, whom it asked and when.
func said(inv harness.Op) string {
	s := fmt.Sprintf("%s (op %d", title(inv), inv.Index)
	if inv.Node != "" {
		s += fmt.Sprintf(" at %s", inv.Node)
	}
	return s + ")"
}

func nodes(ns []harness.NodeID) string {
	s := make([]string, len(ns))
	for i, n := range ns {
		s[i] = string(n)
	}
	return strings.Join(s, ", ")
}

// links tells cut links, those of one node together: "n1->n3,n4 n2->n4".
func links(ls []harness.Link) string {
	to := make(map[harness.NodeID][]string)
	for _, l := range ls {
		to[l.From] = append(to[l.From], string(l.To))
	}
	var out []string
	for _, from := range sortedKeys(to) {
		out = append(out, fmt.Sprintf("%s->%s", from, strings.Join(to[from], ",")))
	}
	return strings.Join(out, " ")
}

// served tells which replicas did what for a request; nothing if the store did not say.
func served(m *harness.Meta) string {
	if m == nil || len(m.Replies) == 0 {
		return ""
	}
	by := make(map[string][]string)
	for _, r := range m.Replies {
		who := string(r.Node)
		if r.For != "" && r.For != r.Node {
			who += " in place of " + string(r.For)
		}
		by[r.State] = append(by[r.State], who)
	}
	var out []string
	for _, state := range sortedKeys(by) {
		out = append(out, fmt.Sprintf("%s: %s", state, strings.Join(by[state], ", ")))
	}
	s := strings.Join(out, "; ")
	if m.Coordinator != "" {
		s = fmt.Sprintf("%s coordinated it; %s", m.Coordinator, s)
	}
	return s
}

// live lists the siblings that are no tombstones.
func live(siblings []harness.Sibling) []harness.Sibling {
	return slices.DeleteFunc(slices.Clone(siblings), func(s harness.Sibling) bool { return s.Tombstone })
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
