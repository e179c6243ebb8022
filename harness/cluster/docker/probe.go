package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"cartwheel/harness"
)

// Rounds of sending and looking until every datagram has been seen. On a bridge the first
// round does, so what is still unseen after the last is really lost on the way.
const probeRounds = 5

// sendScript sends a datagram to each address. A closed port or a missing route is not
// its business: what arrived is read off the receiver's rules.
const sendScript = `for a in "${@:2}"; do echo probe >"/dev/udp/$a/$1" || true; done`

// Probe sends datagrams over each link and reads off the receiver's rules which of them
// arrived: those that reached the pod and met no cut. Neither the store nor its image is
// involved, and one direction of a link is tested by itself.
func (c *Cluster) Probe(ctx context.Context, links []harness.Link) (map[harness.Link]bool, error) {
	r, err := c.started()
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if err := r.checkLinks(links); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	arrived := make(map[harness.Link]bool, len(links))
	for _, l := range links {
		arrived[l] = false
	}
	open := slices.Collect(maps.Keys(arrived)) // links of which nothing is known yet
	before, err := r.counters(ctx, receivers(open))
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	for round := range probeRounds {
		if err := r.send(ctx, open); err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
		after, err := r.counters(ctx, receivers(open))
		if err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
		rose := func(l harness.Link, mark string) bool { return after[l.To][mark] > before[l.To][mark] }
		var unseen []harness.Link
		for _, l := range open {
			// Arrival first: it proves itself, while "seen but not arrived" needs both.
			arrived[l] = rose(l, arrivedMark(l.From))
			if !arrived[l] && !rose(l, seenMark(l.From)) {
				unseen = append(unseen, l)
			}
		}
		if open = unseen; len(open) == 0 {
			return arrived, nil
		}
		if err := pause(ctx, time.Duration(10<<round)*time.Millisecond); err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	return arrived, nil
}

// send sends one datagram over each link, all senders at once.
func (r *running) send(ctx context.Context, links []harness.Link) error {
	targets := map[harness.NodeID][]string{}
	for _, l := range links {
		targets[l.From] = append(targets[l.From], r.pods[l.To].address.String())
	}
	return each(slices.Sorted(maps.Keys(targets)), func(from harness.NodeID) error {
		command := append([]string{"bash", "-c", sendScript, "send", strconv.Itoa(probePort)}, targets[from]...)
		if _, err := execute(ctx, r.cli, r.pods[from].host, "", command...); err != nil {
			return fmt.Errorf("send from %s: %w", from, err)
		}
		return nil
	})
}

// probeCapabilities tries what a host container's kernel can do.
func probeCapabilities(ctx context.Context, execute func(stdin string, command ...string) (string, error)) (backend string, netem bool, err error) {
	// Rules with every match and target that a cut needs.
	sample := render([]peer{{node: "n2", address: netip.MustParseAddr("192.0.2.2")}}, map[harness.NodeID][]string{"n2": {"f1"}})
	out, err := execute(sample, "bash", "-c", rulesScript, "rules.sh", "install")
	if err != nil {
		return "", false, err
	}
	_, err = execute("", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
	var refused *execError
	if err != nil && !errors.As(err, &refused) {
		return "", false, err
	}
	return strings.TrimSpace(out), err == nil, ctx.Err()
}
