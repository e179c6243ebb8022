package docker

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker/shaper"
)

const (
	chain     = "CARTWHEEL-IN"
	chainOut  = "CARTWHEEL-OUT"
	probePort = 9 // discard: nobody listens there, and the last rule drops what arrives
	jumpMark  = "cartwheel/jump"
	adminMark = "cartwheel/admin"
)

// A peer is another node as packet filter rules see it.
type peer struct {
	node    harness.NodeID
	address netip.Addr
}

// Rules are known by their comments, which name what they count. Node and fault names
// hold no slash (see checkName), so marks of different things are never equal.
func sentMark(to harness.NodeID) string      { return "cartwheel/sent/" + string(to) }
func seenMark(from harness.NodeID) string    { return "cartwheel/seen/" + string(from) }
func arrivedMark(from harness.NodeID) string { return "cartwheel/arrived/" + string(from) }
func dropMark(from harness.NodeID) string    { return "cartwheel/drop/" + string(from) }
func loopMark(from harness.NodeID) string    { return "cartwheel/loop/" + string(from) }
func queueMark(from harness.NodeID) string   { return "cartwheel/queue/" + string(from) }
func lossMark(from harness.NodeID, fault string) string {
	return "cartwheel/loss/" + string(from) + "/" + fault
}

func cutMark(from harness.NodeID, fault, part string) string {
	return "cartwheel/cut/" + string(from) + "/" + fault + "/" + part
}

// cutParts are the two rules of a fault on a link: a packet filter rule can negate a
// protocol or a port but not the pair of them, and "all but probes" needs both.
var cutParts = []string{"rest", "udp"}

// A loss is a fault that loses some packets of a link.
type loss struct {
	fault  string
	chance float64 // from 0 to 1
}

// A disturbed link is what a peer's packets suffer on their way in.
type disturbed struct {
	cuts   []string // faults that lose everything
	losses []loss
	queued bool // the shaper decides about what is left
}

// render writes the rules of one node's chain: what each peer's packets meet on their
// way in. For every peer, in this order:
//
//   - seen counts probes that reached the pod, cut or not;
//   - each fault that cuts the link counts what it discards, probes left out. The
//     counting rules have no target, so where faults overlap each has its own count;
//   - drop discards, if there was any fault;
//   - arrived counts probes that came through, and discards them, so that what follows
//     does not make a bad link look like a cut one;
//   - loop lets pass the copies of a queued link's packets, which the shaper sends from here;
//   - each fault that loses packets counts those and discards them;
//   - queue hands what is left to the shaper, or lets it pass if there is none.
//
// A probe thus meets the very rule that cuts the store's packets, not one like it.
func render(peers []peer, links map[harness.NodeID]disturbed) string {
	var b strings.Builder
	for _, p := range peers {
		from := p.address.String() + "/32"
		rule := func(format string, args ...any) {
			fmt.Fprintf(&b, "-A %s -s %s %s\n", chain, from, fmt.Sprintf(format, args...))
		}
		rule("-p udp -m udp --dport %d -m comment --comment %s", probePort, seenMark(p.node))
		faults := slices.Sorted(slices.Values(links[p.node].cuts))
		for _, f := range faults {
			rule("! -p udp -m comment --comment %s", cutMark(p.node, f, cutParts[0]))
			rule("-p udp -m udp ! --dport %d -m comment --comment %s", probePort, cutMark(p.node, f, cutParts[1]))
		}
		if len(faults) > 0 {
			rule("-m comment --comment %s -j DROP", dropMark(p.node))
		}
		rule("-p udp -m udp --dport %d -m comment --comment %s -j DROP", probePort, arrivedMark(p.node))
		if links[p.node].queued {
			rule("-i lo -m comment --comment %s -j RETURN", loopMark(p.node))
		}
		for _, l := range links[p.node].losses {
			rule("-m statistic --mode random --probability %.9f -m comment --comment %s -j DROP", l.chance, lossMark(p.node, l.fault))
		}
		if links[p.node].queued {
			rule("-m comment --comment %s -j NFQUEUE --queue-num %d --queue-bypass", queueMark(p.node), shaper.Queue)
		}
	}
	return b.String()
}

// renderOut writes the rules that count the probes which a node sends: that none came is
// worth something only if one was sent.
func renderOut(peers []peer) string {
	var b strings.Builder
	for _, p := range peers {
		fmt.Fprintf(&b, "-A %s -d %s/32 -p udp -m udp --dport %d -m comment --comment %s\n", chainOut, p.address, probePort, sentMark(p.node))
	}
	return b.String()
}

// errRulesGone means that a pod no longer has the rules it was given.
var errRulesGone = errors.New("the packet filter rules are gone")

// parseCounters reads the packet counts of our rules from what "iptables-save -c" prints,
// by mark. Without the jump into our chain no rule of ours has any effect: that is
// [errRulesGone].
func parseCounters(saved string) (map[string]uint64, error) {
	counts := map[string]uint64{}
	lines := bufio.NewScanner(strings.NewReader(saved))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		i := slices.Index(fields, "--comment")
		if len(fields) == 0 || i < 0 || i+1 == len(fields) || !strings.HasPrefix(fields[0], "[") {
			continue
		}
		mark := strings.Trim(fields[i+1], `"`)
		if !strings.HasPrefix(mark, "cartwheel/") {
			continue
		}
		packets, _, ok := strings.Cut(strings.Trim(fields[0], "[]"), ":")
		n, err := strconv.ParseUint(packets, 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("counter of rule %s: %q", mark, fields[0])
		}
		counts[mark] = n
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("saved rules: %w", err)
	}
	if _, ok := counts[jumpMark]; !ok {
		return nil, errRulesGone
	}
	return counts, nil
}

// checkName says whether a name can stand in a rule's comment and in a container's name.
func checkName(what, name string) error {
	if name == "" || len(name) > 48 {
		return fmt.Errorf("%s %q: must have 1 to 48 characters", what, name)
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return fmt.Errorf("%s %q: only letters, digits, '-', '_' and '.'", what, name)
		}
	}
	if name[0] == '-' || name[0] == '_' || name[0] == '.' {
		return fmt.Errorf("%s %q: must begin with a letter or a digit", what, name)
	}
	return nil
}
