package docker

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"cartwheel/harness"
)

var somePeers = []peer{
	{"n1", netip.MustParseAddr("10.213.0.11")},
	{"n2", netip.MustParseAddr("10.213.0.12")},
	{"n3", netip.MustParseAddr("10.213.0.13")},
}

// A packet as far as the rules look at it.
type packet struct {
	from  netip.Addr
	udp   bool
	dport int

	loop    bool // it comes by the loopback interface
	unlucky bool // every chance strikes it
}

// filter is a dumb packet filter: it plays rules as rendered, one packet at a time, and
// knows only what they use.
type filter struct {
	queued bool // the last packet
	rules  []string
	counts map[string]uint64
}

func newFilter(text string) *filter {
	return &filter{rules: strings.Split(strings.TrimSpace(text), "\n"), counts: map[string]uint64{}}
}

// pass reports whether the packet gets through.
func (f *filter) pass(p packet) bool {
	f.queued = false
	for _, rule := range f.rules {
		words, matches, mark, target := strings.Fields(rule), true, "", ""
		for i := 0; i < len(words); i++ {
			not := words[i] == "!"
			if not {
				i++
			}
			i++ // every word here takes an argument
			switch words[i-1] {
			case "-A", "-m", "--mode", "--queue-num":
			case "--queue-bypass":
				i--
			case "-i":
				matches = matches && p.loop
			case "--probability":
				matches = matches && p.unlucky
			case "-s":
				matches = matches && netip.MustParsePrefix(words[i]).Contains(p.from)
			case "-p":
				matches = matches && p.udp == (words[i] == "udp") != not
			case "--dport":
				matches = matches && (fmt.Sprint(p.dport) == words[i]) != not
			case "--comment":
				mark = words[i]
			case "-j":
				target = words[i]
			default:
				panic("a word the filter does not know: " + words[i-1])
			}
		}
		if matches {
			f.counts[mark]++
			switch target {
			case "DROP":
				return false
			case "RETURN":
				return true
			case "NFQUEUE":
				f.queued = true
				return true
			}
		}
	}
	return true
}

func TestScriptRules(t *testing.T) {
	datadriven.RunTest(t, "testdata/rules.txt", func(t *testing.T, d *datadriven.TestData) string {
		links := map[harness.NodeID]disturbed{}
		for _, a := range d.CmdArgs {
			for _, v := range a.Vals {
				from := harness.NodeID(v)
				l := links[from]
				if fault, lossy := strings.CutSuffix(a.Key, "-loses"); lossy {
					l.losses = append(l.losses, loss{fault, 0.25})
				} else if a.Key == "queue" {
					l.queued = true
				} else {
					l.cuts = append(l.cuts, a.Key)
				}
				links[from] = l
			}
		}
		if d.Cmd == "clients" {
			admin := 0
			d.MaybeScanArgs(t, "admin", &admin)
			return renderClients(door{netip.MustParseAddr("10.213.0.1"), 7000, admin}, links["requests"].cuts, links["answers"].cuts)
		}
		text := render(somePeers, links)
		if d.Cmd == "rules" {
			return text
		}
		f := newFilter(text)
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			words := strings.Fields(line)
			from, kind := words[0], words[1]
			i := slices.IndexFunc(somePeers, func(p peer) bool { return string(p.node) == from })
			p := packet{
				from: netip.MustParseAddr("10.213.0.1"),
				loop: slices.Contains(words, "copy"), unlucky: slices.Contains(words, "unlucky"),
			}
			if i >= 0 {
				p.from = somePeers[i].address
			}
			switch kind {
			case "probe":
				p.udp, p.dport = true, probePort
			case "udp":
				p.udp, p.dport = true, 53
			}
			clear(f.counts)
			verdict := "is discarded"
			if f.pass(p) {
				verdict = map[bool]string{true: "is queued", false: "passes"}[f.queued]
			}
			fmt.Fprintf(&out, "%-6s %-5s %s", from, strings.Join(words[1:], " "), verdict)
			for i, m := range slices.Sorted(maps.Keys(f.counts)) {
				fmt.Fprintf(&out, "%s %s", map[bool]string{true: ":", false: ","}[i == 0], strings.TrimPrefix(m, "cartwheel/"))
			}
			out.WriteByte('\n')
		}
		return out.String()
	})
}

func TestRulesDoWhatTheFaultsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links, faults := map[harness.NodeID]disturbed{}, []string{"f1", "f2", "f3"}
		for _, p := range somePeers {
			d := disturbed{queued: rapid.Bool().Draw(t, string(p.node)+" queued")}
			for _, f := range faults {
				if rapid.Bool().Draw(t, string(p.node)+" cut by "+f) {
					d.cuts = append(d.cuts, f)
				}
				if rapid.Bool().Draw(t, string(p.node)+" loses by "+f) {
					d.losses = append(d.losses, loss{f, 0.5})
				}
			}
			links[p.node] = d
		}
		f := newFilter(render(somePeers, links))
		want := map[string]uint64{}
		for range rapid.IntRange(0, 30).Draw(t, "packets") {
			p := rapid.SampledFrom(somePeers).Draw(t, "from")
			sent := packet{from: p.address, udp: rapid.Bool().Draw(t, "udp"), dport: rapid.SampledFrom([]int{probePort, 7000}).Draw(t, "port")}
			sent.loop, sent.unlucky = rapid.Bool().Draw(t, "copy"), rapid.Bool().Draw(t, "unlucky")
			l := links[p.node]
			probe, cut := sent.udp && sent.dport == probePort, len(l.cuts) > 0
			copied := l.queued && sent.loop
			lost := sent.unlucky && len(l.losses) > 0 && !copied
			if got, want := f.pass(sent), !probe && !cut && !lost; got != want {
				t.Fatalf("%+v under %+v passes: got %v, want %v", sent, l, got, want)
			}
			if want := !probe && !cut && !lost && l.queued && !copied; f.queued != want {
				t.Fatalf("%+v under %+v is queued: got %v, want %v", sent, l, f.queued, want)
			}
			if !probe && !cut && lost {
				want[lossMark(p.node, l.losses[0].fault)]++
			}
			if probe {
				want[seenMark(p.node)]++
			}
			if probe && !cut {
				want[arrivedMark(p.node)]++
			}
			if cut && !probe {
				for _, fault := range l.cuts {
					want[fault]++
				}
			}
		}
		got := map[string]uint64{}
		for mark, n := range f.counts {
			switch parts := strings.Split(mark, "/"); parts[1] {
			case "cut":
				got[parts[3]] += n
			case "seen", "arrived", "loss":
				got[mark] = n
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("counts under %+v: got %v, want %v", links, got, want)
		}
	})
}

func TestParseCounters(t *testing.T) {
	const head = "# Generated by iptables-nft-save v1.8.9 (nf_tables)\n*filter\n:INPUT ACCEPT [7:420]\n:CARTWHEEL-IN - [0:0]\n"
	const jump = "[7:420] -A INPUT -m comment --comment \"cartwheel/jump\" -j CARTWHEEL-IN\n"
	for _, test := range []struct {
		name, saved string
		want        map[string]uint64
		err         error
	}{
		{
			name: "quoted, as iptables prints it", saved: head + jump +
				"[3:90] -A CARTWHEEL-IN -s 10.213.0.11/32 -p udp -m udp --dport 9 -m comment --comment \"cartwheel/seen/n1\"\nCOMMIT\n",
			want: map[string]uint64{jumpMark: 7, "cartwheel/seen/n1": 3},
		},
		{name: "bare", saved: "[1:2] -A INPUT -m comment --comment cartwheel/jump -j CARTWHEEL-IN\n", want: map[string]uint64{jumpMark: 1}},
		{name: "other people's rules", saved: head + jump + "[9:9] -A INPUT -m comment --comment \"theirs\" -j DROP\n[8:8] -A INPUT -j DROP\n", want: map[string]uint64{jumpMark: 7}},
		{name: "chain not hooked in", saved: head + "COMMIT\n", err: errRulesGone},
		{name: "nothing at all", saved: "", err: errRulesGone},
		{name: "no counter", saved: "[x:0] -A INPUT -m comment --comment cartwheel/jump -j CARTWHEEL-IN\n", err: errors.New("any")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseCounters(test.saved)
			if (err != nil) != (test.err != nil) || errors.Is(test.err, errRulesGone) && !errors.Is(err, errRulesGone) {
				t.Fatalf("got error %v, want %v", err, test.err)
			}
			if err == nil && !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNamesFitIntoRules(t *testing.T) {
	for name, good := range map[string]bool{
		"f1": true, "partition-3.halves_x": true, "7": true,
		"": false, "a b": false, "a/b": false, `a"b`: false, "-f": false, ".f": false, "ä": false, strings.Repeat("x", 49): false,
	} {
		if err := checkName("fault", name); (err == nil) != good {
			t.Errorf("%q: got %v, want good: %v", name, err, good)
		}
	}
}
