package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"cartwheel/harness"
)

// Clients reach a pod over its published port, which the engine forwards from the network's
// gateway. Cutting them off is a matter of that address and that port in the pod's own packet
// filter, for either direction by itself; nothing of the machine's own is touched. The harness's
// own questions come from that address too, but to a port of their own (Options.AdminPort), and are not cut off.

// clientsOut names, in marks of rules, packets on their way to clients; no node's name has a slash.
const clientsOut = harness.Clients + "/out"

// dialLimit bounds one attempt to connect that probes a link. A cut one never answers.
const dialLimit = 500 * time.Millisecond

// A door is where clients come in and answers go out.
type door struct {
	gateway netip.Addr
	port    int
	admin   int // 0: none
}

func (p *plan) door() door {
	return door{gateway: p.within.Addr().Next(), port: p.opts.Port, admin: p.opts.AdminPort}
}

// renderClients writes the rules for packets from and to clients, in and out being the faults
// that cut either direction. They are built like those of [render], but a probe of the way in is
// an attempt to connect, which is what the harness can send through a published port: so these
// are seen, not cut, and count as no loss. A probe of the way out is a datagram to the gateway,
// counted before the cut and after it; what is left of it is discarded too. Answers from the admin port leave
// before they meet the cut.
func renderClients(d door, in, out []string) string {
	var b strings.Builder
	rule := func(chain, mark, match, target string) {
		fmt.Fprintf(&b, "-A %s %s -m comment --comment %s%s\n", chain, match, mark, target)
	}
	gateway := d.gateway.String() + "/32"
	from := fmt.Sprintf("-s %s -p tcp -m tcp --dport %d", gateway, d.port)
	attempt, others := from+" --tcp-flags FIN,SYN,RST,ACK SYN", from+" ! --tcp-flags FIN,SYN,RST,ACK SYN"
	rule(chain, seenMark(harness.Clients), attempt, "")
	for _, f := range in {
		rule(chain, cutMark(harness.Clients, f, cutParts[0]), others, "")
	}
	if len(in) > 0 {
		rule(chain, dropMark(harness.Clients), from, " -j DROP")
	}
	rule(chain, arrivedMark(harness.Clients), attempt, "")

	probe := fmt.Sprintf("-d %s -p udp -m udp --dport %d", gateway, probePort)
	rule(chainOut, seenMark(clientsOut), probe, "")
	for _, f := range out {
		rule(chainOut, cutMark(clientsOut, f, cutParts[0]), fmt.Sprintf("-d %s -p tcp -m tcp --sport %d", gateway, d.port), "")
	}
	if len(out) > 0 && d.admin != 0 {
		rule(chainOut, adminMark, fmt.Sprintf("-d %s -p tcp -m tcp --sport %d", gateway, d.admin), " -j RETURN")
	}
	if len(out) > 0 {
		rule(chainOut, dropMark(clientsOut), "-d "+gateway, " -j DROP")
	}
	rule(chainOut, arrivedMark(clientsOut), probe, " -j DROP")
	return b.String()
}

// gate is the node whose packet filter a link meets: that of its receiver, but clients have none.
func gate(l harness.Link) harness.NodeID {
	if l.To == harness.Clients {
		return l.From
	}
	return l.To
}

// marked names the far end of a link in the marks of the rules that it meets.
func marked(l harness.Link) harness.NodeID {
	if l.To == harness.Clients {
		return clientsOut
	}
	return l.From
}

// knock attempts to connect to a node as clients do. Whether that succeeds tells nothing: a proxy of the
// engine's may have answered. What counts is whether the pod's rules have seen it.
func (r *running) knock(ctx context.Context, n harness.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	if conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.pod(n).ports.Load().clients); err == nil {
		_ = conn.Close()
	}
}
