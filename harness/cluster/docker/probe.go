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
	"sync"
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
// involved, and one direction of a link is tested by itself. A datagram that was not even
// seen is lost on the way, unless the sender's rules know of none: that is an error, since
// a sender that is out of order proves nothing of a link. The ways from and to clients are
// probed by other means, see [renderClients].
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
	before, err := r.counters(ctx, ends(open))
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
		rose := func(l harness.Link, mark string) bool { return after[gate(l)][mark] > before[gate(l)][mark] }
		var unseen []harness.Link
		for _, l := range open {
			// Arrival first: it proves itself, while "seen but not arrived" needs both.
			arrived[l] = rose(l, arrivedMark(marked(l)))
			if !arrived[l] && !rose(l, seenMark(marked(l))) {
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
	if err := r.sent(ctx, open, before); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return arrived, nil
}

// sent returns an error unless a datagram has left for each of the links since before.
func (r *running) sent(ctx context.Context, links []harness.Link, before map[harness.NodeID]map[string]uint64) error {
	now, err := r.counters(ctx, ends(links))
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		switch {
		case l.From == harness.Clients:
			errs = append(errs, fmt.Errorf("no attempt to connect to %s has reached it: does the engine forward its port from %s?", l.To, r.plan.door().gateway))
		case l.To == harness.Clients:
			errs = append(errs, fmt.Errorf("%s did not send its datagram to clients", l.From))
		case now[l.From][sentMark(l.To)] <= before[l.From][sentMark(l.To)]:
			errs = append(errs, fmt.Errorf("%s did not send its datagram to %s", l.From, l.To))
		}
	}
	return errors.Join(errs...)
}

// ends lists the nodes at either end of links, each once, in order.
func ends(links []harness.Link) []harness.NodeID {
	set := map[harness.NodeID]bool{}
	for _, l := range links {
		set[l.From], set[l.To] = true, true
	}
	delete(set, harness.Clients)
	return slices.Sorted(maps.Keys(set))
}

// send sends one datagram over each link, all senders at once.
func (r *running) send(ctx context.Context, links []harness.Link) error {
	targets := map[harness.NodeID][]string{}
	var knocks sync.WaitGroup
	defer knocks.Wait()
	for _, l := range links {
		switch harness.Clients {
		case l.From:
			knocks.Go(func() { r.knock(ctx, l.To) })
		case l.To:
			targets[l.From] = append(targets[l.From], r.plan.door().gateway.String())
		default:
			targets[l.From] = append(targets[l.From], r.pod(l.To).address.String())
		}
	}
	return each(slices.Sorted(maps.Keys(targets)), func(from harness.NodeID) error {
		command := append([]string{"bash", "-c", sendScript, "send", strconv.Itoa(probePort)}, targets[from]...)
		if _, err := r.pod(from).shell.run(ctx, "", command...); err != nil {
			return fmt.Errorf("send from %s: %w", from, err)
		}
		return nil
	})
}

// A kernel is what containers beside a store's can do to its packets and its system calls.
type kernel struct {
	backend string // of the packet filter: "nft" or "legacy"
	lossy   bool   // it can lose packets by chance
	queue   bool   // it can hand packets to a shaper
	traces  bool   // it lets one process fail the calls of another

	untraced error // why it does not
}

// tryRules finds out by the very rules that faults need.
func tryRules(ctx context.Context, execute func(stdin string, command ...string) (string, error)) (k kernel, err error) {
	try := func(d disturbed, how ...string) (string, error) {
		text := render([]peer{{node: "n2", address: netip.MustParseAddr("192.0.2.2")}}, map[harness.NodeID]disturbed{"n2": d})
		return execute(text, append([]string{"bash", "-c", rulesScript, "rules.sh"}, how...)...)
	}
	able := func(_ string, err error) (bool, error) {
		if refused := (*execError)(nil); errors.As(err, &refused) {
			return false, nil
		}
		return err == nil, err
	}
	out, err := try(disturbed{cuts: []string{"f1"}}, "install")
	if err != nil {
		return k, err
	}
	k.backend = strings.TrimSpace(out)
	if k.lossy, err = able(try(disturbed{losses: []loss{{"f1", 0.5}}}, "apply", k.backend)); err != nil {
		return k, err
	}
	if k.queue, err = able(try(disturbed{queued: true}, "apply", k.backend)); err != nil || !k.queue {
		return k, err
	}
	// A rule may name a queue of which the kernel lets nobody take anything.
	k.queue, err = able(execute("", "test", "-e", "/proc/net/netfilter/nfnetlink_queue"))
	return k, err
}
