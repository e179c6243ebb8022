package docker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker/pcap"
)

func TestCaptureFilterIsThatOfTheOptions(t *testing.T) {
	p := &plan{
		within: netip.MustParsePrefix("10.9.8.0/24"), peers: []peer{{node: "n1", address: netip.MustParseAddr("10.9.8.11")}},
		opts: Options{Port: 7000},
	}
	if hosts := p.captureHosts(); hosts != nil {
		t.Errorf("got hosts %v where nothing is recorded, want none", hosts)
	}
	p.opts.Capture = CaptureAll
	if got, want := p.captureFilter(), "net 10.9.8.0/24 and (not host 10.9.8.1 or tcp port 7000)"; got != want {
		t.Errorf("got filter %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(p.captureHosts()), "[clients:10.9.8.1 n1:10.9.8.11]"; got != want {
		t.Errorf("got hosts %s, want %s", got, want)
	}
	p.opts.Capture = "host n1"
	if got := p.captureFilter(); got != "host n1" {
		t.Errorf("got filter %q, want what was asked for", got)
	}
}

func TestMissedPacketsAreCountedOverAllLives(t *testing.T) {
	said := "listening on eth0\n10 packets captured\n12 packets received by filter\n2 packets dropped by kernel\nlistening on eth0\n3 packets dropped by kernel\n"
	if got := missedBy(said); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

// captured returns the packets of a node as the cluster writes them.
func captured(t *testing.T, c *Cluster, n harness.NodeID) [][]byte {
	t.Helper()
	var file bytes.Buffer
	if err := c.Capture(t.Context(), n, &file); err != nil {
		t.Fatal(err)
	}
	packets, err := pcap.Packets(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// ofPort counts packets of IPv4 on Ethernet from or to a port, and others.
func ofPort(packets [][]byte, port uint16) (of, others int) {
	for _, p := range packets {
		const record, link = 16, 14
		frame := p[record:]
		if len(frame) < link+24 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
			others++
			continue
		}
		ports := frame[link+int(frame[link]&15)*4:]
		if binary.BigEndian.Uint16(ports) == port || binary.BigEndian.Uint16(ports[2:]) == port {
			of++
		} else {
			others++
		}
	}
	return of, others
}

func TestCaptureHasThePacketsOfEveryNode(t *testing.T) {
	needEngine(t)
	run := runName(t)
	o := chatterOptions(t, run)
	o.Nodes, o.Capture = 2, fmt.Sprintf("port %d and host n2", chatterPort)
	image, err := HostImage(t.Context(), "", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	nodes := []harness.NodeID{"n1", "n2"}
	if err := CheckCapture(t.Context(), image, o.Capture, nodes); err != nil {
		t.Errorf("got %v for a filter that is well", err)
	}
	err = CheckCapture(t.Context(), image, "tcp prot 7000", nodes)
	if !errors.Is(err, ErrFilter) || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("got %v for a filter that is not, want %v and what tcpdump says", err, ErrFilter)
	}
	c := start(t, o)
	for _, n := range nodes { // what a store goes through is none of the recorder's business
		if err := errors.Join(c.Pause(t.Context(), n), c.Resume(t.Context(), n), c.Kill(t.Context(), n), c.Restart(t.Context(), n)); err != nil {
			t.Fatal(err)
		}
	}
	// A network that ends takes the recording with it, until the store has another.
	if err := errors.Join(
		c.Kill(t.Context(), "n1"), c.now.cli.ContainerKill(t.Context(), c.now.pod("n1").host, "SIGKILL"), c.Restart(t.Context(), "n1"),
	); err != nil {
		t.Fatal(err)
	}
	// A packet that is cut has arrived all the same: the recorder comes before the packet filter.
	if err := c.Cut(t.Context(), "f", []harness.Link{{From: "n2", To: "n1"}}); err != nil {
		t.Fatal(err)
	}
	begun, sender := time.Now(), c.now.pod("n2").address.AsSlice()
	for limit := begun.Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // n2 sends on
		dropped, err := c.Dropped(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if dropped[harness.Link{From: "n2", To: "n1"}] > 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("n2 sends nothing")
		}
	}
	for _, n := range nodes {
		packets := captured(t, c, n)
		if !slices.ContainsFunc(packets, func(p []byte) bool {
			at := time.Unix(int64(binary.LittleEndian.Uint32(p)), 1000*int64(binary.LittleEndian.Uint32(p[4:])))
			return at.After(begun) && bytes.Equal(p[16+14+12:][:4], sender)
		}) {
			t.Errorf("%s: got no packet of n2 after it was cut off, want those that the packet filter discarded", n)
		}
		of, others := ofPort(packets, chatterPort)
		t.Logf("%s: %d packets of the port, %d others", n, of, others)
		if of == 0 || others > 0 {
			t.Errorf("%s: got %d packets of the port and %d others, want only of the port", n, of, others)
		}
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := leftBy(t, run); !left.empty() {
		t.Errorf("got %+v after the end, want nothing", left)
	}
}
