package docker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

const (
	subnetsTried = 12 // on how many of the free subnets the engine may refuse to create a network
	firstHost    = 11 // node i has the subnet's address firstHost+i; the gateway has 1
)

// subnets are those that runs choose from: 10.213.0.0/24 and up.
func subnet(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(i), 0}), 24)
}

// hostAddress is the i-th node's.
func hostAddress(s netip.Prefix, i int) netip.Addr {
	a := s.Addr().As4()
	a[3] = byte(firstHost + i)
	return netip.AddrFrom4(a)
}

// candidates orders the subnets that do not overlap with any in use. Runs begin at
// different places, so that those which start together rarely want the same.
func candidates(run string, used []netip.Prefix) []netip.Prefix {
	h := fnv.New32a()
	_, _ = h.Write([]byte(run)) // a hash never fails
	start := int(h.Sum32() % 256)
	var free []netip.Prefix
next:
	for i := range 256 {
		s := subnet((start + i) % 256)
		for _, u := range used {
			if s.Overlaps(u) {
				continue next
			}
		}
		free = append(free, s)
	}
	return free
}

// createNetwork makes the run's network and returns its id and subnet. Another run may
// take a subnet between our look and our creation; the engine then refuses, in words that
// differ from version to version. So on a refusal it looks again and takes the next.
func createNetwork(ctx context.Context, cli *client.Client, run string, labels map[string]string) (string, netip.Prefix, error) {
	var refusals []error
	for attempt := range subnetsTried {
		used, err := usedSubnets(ctx, cli)
		if err != nil {
			return "", netip.Prefix{}, fmt.Errorf("network: %w", err)
		}
		free := candidates(run, used)
		if len(free) <= attempt {
			refusals = append(refusals, errors.New("no subnet of 10.213.0.0/16 is free: remove networks, for example by 'cartwheel clean'"))
			break
		}
		s := free[attempt]
		options := network.CreateOptions{
			Driver: "bridge",
			IPAM:   &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: s.String(), Gateway: s.Addr().Next().String()}}},
			Labels: labels,
		}
		var id string
		err = uninterrupted(ctx, func(ctx context.Context) error {
			created, err := cli.NetworkCreate(ctx, "cartwheel-"+run, options)
			id = created.ID
			return err
		})
		if err == nil {
			return id, s, nil
		}
		refusals = append(refusals, fmt.Errorf("%s: %w", s, err))
		if ctx.Err() != nil || client.IsErrConnectionFailed(err) {
			break
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			break
		}
	}
	return "", netip.Prefix{}, fmt.Errorf("network: %w", errors.Join(refusals...))
}

// usedSubnets are those of the engine's networks and of this machine's interfaces, which
// the engine does not look at when it is told a subnet.
func usedSubnets(ctx context.Context, cli *client.Client) ([]netip.Prefix, error) {
	networks, err := cli.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var used []netip.Prefix
	for _, n := range networks {
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				used = append(used, p.Masked())
			}
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p.Masked())
		}
	}
	return used, nil
}

// uninterrupted makes an engine call that creates something. A call that is given up may
// still create it, after we have looked for what to remove; so it is not given up: if ctx
// has ended it is not made, and otherwise it is waited for.
func uninterrupted(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return f(whole)
}
