package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"cartwheel/harness"
)

// Limits and measures of a causal graph.
const (
	graphNodesMax = 12 // of a bigger key only the surroundings of the proof are drawn
	nodeWidth     = 140.0
	nodeHeight    = 38.0
	columnWidth   = 184.0
	rowHeight     = 54.0
)

// A node is one write of the key.
type node struct {
	c          *call
	past       []*node // the writes whose values its context had shown
	next       []*node
	far        []*node // shown writes that it comes after by way of others, which are not shown
	depth, row int
	final      bool // some copy ended with it
	proof      bool
}

// A copyState is what some copies of the key ended with.
type copyState struct {
	nodes []harness.NodeID
	sibs  []harness.Sibling
}

// graph is the causal picture of one key: writes as boxes, an arrow from each write
// to the writes that had seen it, the final siblings framed, and a lost write dashed
// where it should have ended up.
type graph struct {
	a      *analysis
	an     harness.Anomaly
	lost   *node
	nodes  []*node // shown, by invocation
	total  int
	copies []copyState
	d      drawing
}

// graph draws the causes of an anomaly's key, or nothing if no write is to be seen.
func (a *analysis) graph(an harness.Anomaly) (template.HTML, string) {
	g := &graph{a: a, an: an}
	all := g.build()
	g.total = len(all)
	if g.total == 0 {
		return "", ""
	}
	g.pick(all)
	g.layout()
	width, height := g.draw()
	caption := fmt.Sprintf("All %s of the key.", count(g.total, "write", "writes"))
	if len(g.nodes) < g.total {
		caption = fmt.Sprintf("%d of %s of the key: those of the proof and the nearest to them. A dotted arrow skips some.", len(g.nodes), count(g.total, "write", "writes"))
	}
	return g.d.finish(width, height, "graph", "causal graph of key "+an.Key), caption
}

// build makes a node for each write that may have taken effect and joins it to the
// writes that its context covers: those whose values came with that token.
func (g *graph) build() []*node {
	var all []*node
	byValue := make(map[string]*node)
	tokens := make(map[string][]harness.Sibling)
	lost := g.a.lostWrite(g.an)
	for i := range g.a.calls {
		c := &g.a.calls[i]
		if c.inv.Key != g.an.Key {
			continue
		}
		if len(c.done.Token) > 0 {
			tokens[string(c.done.Token)] = c.done.Siblings
		}
		if !c.inv.IsWrite() || c.outcome() == harness.Fail {
			continue
		}
		n := &node{c: c}
		if lost == c {
			g.lost = n
		}
		all = append(all, n)
		if c.inv.Value != "" {
			byValue[c.inv.Value] = n
		}
	}
	for _, n := range all {
		for _, s := range tokens[string(n.c.inv.Context)] {
			if p := byValue[s.Value]; p != nil && p != n && p.c.inv.Index < n.c.inv.Index {
				n.past = append(n.past, p)
				p.next = append(p.next, n)
			}
		}
	}
	g.finish(byValue)
	for _, i := range g.an.Ops {
		if c := g.a.at[i]; c != nil && byValue[c.inv.Value] != nil {
			byValue[c.inv.Value].proof = true
		}
	}
	return all
}

// finish collects what the copies of the key ended with: the last read of each.
func (g *graph) finish(byValue map[string]*node) {
	last := make(map[harness.NodeID]call)
	for _, c := range g.a.finals {
		if c.inv.Key == g.an.Key && c.outcome() == harness.OK {
			last[c.inv.Node] = c
		}
	}
	groups := make(map[string]*copyState)
	var order []string
	for _, n := range sortedNodes(last) {
		c := last[n]
		id := cmp.Or(c.done.State, seen(c.done.Siblings))
		if groups[id] == nil {
			groups[id] = &copyState{sibs: c.done.Siblings}
			order = append(order, id)
		}
		groups[id].nodes = append(groups[id].nodes, n)
		for _, s := range c.done.Siblings {
			if w := byValue[s.Value]; w != nil && !s.Tombstone {
				w.final = true
			}
		}
	}
	for _, id := range order {
		g.copies = append(g.copies, *groups[id])
	}
}

func sortedNodes[V any](m map[harness.NodeID]V) []harness.NodeID {
	out := make([]harness.NodeID, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// pick keeps the proof, the final writes, and what is nearest to them.
func (g *graph) pick(all []*node) {
	kept := make(map[*node]bool)
	var near []*node // kept, in order of importance
	keep := func(n *node) {
		if n != nil && !kept[n] && len(kept) < graphNodesMax {
			kept[n] = true
			near = append(near, n)
		}
	}
	keep(g.lost)
	if g.lost != nil {
		for _, n := range slices.Concat(g.lost.past, g.lost.next) {
			keep(n)
		}
	}
	for _, n := range all {
		if n.proof {
			keep(n)
		}
	}
	for _, n := range all {
		if n.final {
			keep(n)
		}
	}
	for _, n := range slices.Clone(near) {
		for _, o := range n.past {
			keep(o)
		}
	}
	if len(all) <= graphNodesMax {
		for _, n := range all {
			kept[n] = true
		}
	}
	for _, n := range all {
		if kept[n] {
			g.nodes = append(g.nodes, n)
		}
	}
}

// layout puts each write one column after the last of its shown past.
func (g *graph) layout() {
	shown := make(map[*node]bool, len(g.nodes))
	rows := make(map[int]int)
	for _, n := range g.nodes { // by invocation, so a past comes before
		shown[n] = true
		n.far = beyond(n, shown)
		n.past = slices.DeleteFunc(n.past, func(p *node) bool { return !shown[p] })
		for _, p := range slices.Concat(n.past, n.far) {
			n.depth = max(n.depth, p.depth+1)
		}
		n.row = rows[n.depth]
		rows[n.depth]++
	}
}

// beyond finds the shown writes that a write comes after only by way of writes that are
// not shown. Without them it would look concurrent to what it superseded.
func beyond(n *node, shown map[*node]bool) []*node {
	var far []*node
	seen := make(map[*node]bool)
	var walk func(*node)
	walk = func(o *node) {
		for _, p := range o.past {
			switch {
			case seen[p]:
			case !shown[p]:
				seen[p] = true
				walk(p)
			case o != n && !slices.Contains(n.past, p):
				seen[p] = true
				far = append(far, p)
			}
		}
	}
	walk(n)
	return far
}

func (n *node) xy() (x, y float64) {
	return 8 + columnWidth*float64(n.depth), 26 + rowHeight*float64(n.row)
}

func (g *graph) draw() (width, height float64) {
	depth, rows := 0, 0
	for _, n := range g.nodes {
		depth, rows = max(depth, n.depth), max(rows, n.row+1)
	}
	right := 8 + columnWidth*float64(depth+1)
	for _, n := range g.nodes {
		x, y := n.xy()
		for _, p := range n.past {
			g.edge(p, x, y+nodeHeight/2, `class="edge" marker-end="url(#arrow)"`)
		}
		for _, p := range n.far {
			g.edge(p, x, y+nodeHeight/2, `class="edge far" marker-end="url(#arrow)"`)
		}
	}
	bottom := g.drawCopies(right)
	for _, n := range g.nodes {
		g.drawNode(n)
	}
	return right + 226, max(26+rowHeight*float64(rows), bottom) + 8
}

// edge draws a way from a write to a place in a column behind it. It passes behind no other write, from which it would
// seem to come: it keeps to its own row, or to the space below that, and turns where the last column before its end is over.
func (g *graph) edge(from *node, x, y float64, attrs string) {
	const gap = columnWidth - nodeWidth
	left, top := from.xy()
	x1, y1 := left+nodeWidth, top+nodeHeight/2
	if x-x1 < columnWidth { // to the next column
		g.d.path(fmt.Sprintf("M%.1f,%.1f %s", x1, y1, bend(x1, y1, x, y)), attrs)
		return
	}
	lane := y1
	if slices.ContainsFunc(g.nodes, func(n *node) bool {
		at, _ := n.xy()
		return n.row == from.row && at > left && at < x
	}) {
		lane = top + (nodeHeight+rowHeight)/2
	}
	g.d.path(fmt.Sprintf("M%.1f,%.1f %s L%.1f,%.1f %s", x1, y1, bend(x1, y1, x1+gap, lane), x-gap, lane, bend(x-gap, lane, x, y)), attrs)
}

// bend is a piece of a path that begins and ends level.
func bend(x1, y1, x2, y2 float64) string {
	mid := (x1 + x2) / 2
	return fmt.Sprintf("C%.1f,%.1f %.1f,%.1f %.1f,%.1f", mid, y1, mid, y2, x2, y2)
}

// drawCopies draws the column of what is left, and of what should be there and is not.
func (g *graph) drawCopies(x float64) (bottom float64) {
	y := 26.0
	heading := "writes, each after those its writer had seen"
	if x < 280 { // one column of writes: the long heading would run into the next
		heading = "writes"
	}
	g.d.text(8, 14, `class="small soft"`, heading)
	g.d.text(x, 14, `class="small soft"`, "what the copies ended with")
	if len(g.copies) == 0 {
		g.d.text(x, y+16, `class="small"`, "(no final reads)")
	}
	for _, s := range g.copies {
		h := 26 + 17*float64(max(len(s.sibs), 1))
		for _, n := range g.nodes {
			if slices.ContainsFunc(s.sibs, func(b harness.Sibling) bool { return !b.Tombstone && b.Value == n.c.inv.Value }) {
				g.edge(n, x, y+h/2, `class="edge end" marker-end="url(#arrow)"`)
			}
		}
		g.d.rect(x, y, 210, h, 5, `class="copies"`)
		g.d.text(x+10, y+17, `class="small bold"`, nodeList(s.nodes))
		if len(s.sibs) == 0 {
			g.d.text(x+10, y+34, `class="small"`, "nothing")
		}
		for i, b := range s.sibs {
			g.d.text(x+10, y+34+17*float64(i), `class="small"`, clip(versionText(b.Tombstone, b.Value), 30))
		}
		y += h + 12
	}
	if g.lost != nil {
		g.edge(g.lost, x, y+20, `class="edge lost"`)
		g.d.rect(x, y, 210, 40, 5, `class="copies lost"`)
		g.d.text(x+10, y+17, `class="small bold"`, "missing")
		g.d.text(x+10, y+33, `class="small"`, clip(versionText(g.lost.c.inv.F == harness.Delete, g.lost.c.inv.Value), 30))
		y += 52
	}
	return y
}

// versionText is a version of a key as a line of the copies' column.
func versionText(tombstone bool, value string) string {
	if tombstone {
		return "deleted"
	}
	return valueText(value)
}

// nodeTitle names a write by what it means and by its value, which copies are known by.
func nodeTitle(op harness.Op) string {
	if op.Action == "" || op.Value == "" {
		return opLabel(op)
	}
	return opLabel(op) + ": " + valueLabel(op.Value)
}

func (g *graph) drawNode(n *node) {
	x, y := n.xy()
	class := []string{"node", string(n.c.outcome())}
	if n.final {
		class = append(class, "final")
	}
	if n.proof {
		class = append(class, "proof")
	}
	if n == g.lost {
		class = append(class, "lost")
	}
	g.d.open(strings.Join(class, " "), callTip(*n.c), fmt.Sprintf("#op-%d", n.c.inv.Index))
	g.d.rect(x, y, nodeWidth, nodeHeight, 5, `class="box"`)
	g.d.text(x+9, y+16, `class="small bold"`, clip(nodeTitle(n.c.inv), 19))
	by := fmt.Sprintf("#%d client %d, %s", n.c.inv.Index, n.c.inv.Process, n.c.inv.Node)
	g.d.text(x+9, y+31, `class="small soft"`, clip(by, 20))
	g.d.close(true)
}
