package checker

import (
	"strings"
	"testing"

	"cartwheel/harness"
)

func TestAuditsReportWhatNodesFoundInThemselves(t *testing.T) {
	drift := harness.Flaw{Kind: harness.TreeDrift, Count: 2, What: "2 leaves that are wrong"}
	damaged := harness.Flaw{Kind: harness.DamagedRecord, Count: 1, What: "1 damaged record of 3"}
	one := []harness.Op{{Node: "n1", Kind: harness.OK, Flaws: []harness.Flaw{damaged}}}
	endless := []harness.Op{{Node: "n1", Kind: harness.OK, Flaws: []harness.Flaw{{Kind: harness.EndlessRepair, Count: 1, What: "the same again"}}}}
	for _, c := range []struct {
		name   string
		audits []harness.Op
		bad    []harness.NodeID // whose disks had wrong bits
		want   harness.Verdict
		says   string
	}{
		{name: "all is well", audits: []harness.Op{{Node: "n1", Kind: harness.OK}, {Node: "n2", Kind: harness.OK}}, want: harness.Valid, says: "2 nodes"},
		{name: "a flaw", audits: []harness.Op{{Node: "n1", Kind: harness.OK}, {Node: "n2", Kind: harness.OK, Flaws: []harness.Flaw{drift}}}, want: harness.Invalid, says: "n2 found in itself: 2 leaves that are wrong"},
		{name: "no answer", audits: []harness.Op{{Node: "n1", Kind: harness.OK}, {Node: "n2", Kind: harness.Fail, Error: "time-out"}}, want: harness.Unknown, says: "n2 was not audited: time-out"},
		{name: "a record that nothing damaged", audits: one, want: harness.Invalid, says: "damaged-record"},
		{name: "a record of the one bad disk", audits: one, bad: []harness.NodeID{"n1"}, want: harness.Invalid, says: "damaged-record"},
		{name: "a record of two bad disks", audits: one, bad: []harness.NodeID{"n2", "n1"}, want: harness.Unknown, says: "damaged bytes of other owners"},
		{name: "a record of another disk than those", audits: one, bad: []harness.NodeID{"n2", "n3"}, want: harness.Invalid, says: "damaged-record"},
		{name: "a difference without end", audits: endless, bad: []harness.NodeID{"n1"}, want: harness.Invalid, says: "endless-repair"},
		{name: "a difference of two bad disks", audits: endless, bad: []harness.NodeID{"n3", "n2"}, want: harness.Unknown, says: "damaged bytes of several owners"},
		{name: "a store that cannot", want: harness.Valid, says: "cannot audit itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := must(t, "0 put x a ok")
			if c.bad != nil {
				f := harness.Fault{ID: "disk-1", Kind: "disk", Name: harness.DiskBitFlips, Nodes: c.bad, Disk: &harness.DiskFault{BitFlips: 0.5}}
				h = append(h, harness.Op{Index: len(h), Process: harness.NemesisProcess, Kind: harness.Info, Fault: &f, Evidence: &harness.Evidence{Injected: 1}})
			}
			for _, a := range c.audits {
				a.F, a.Process, a.Phase = harness.Audit, harness.FinalProcess, harness.Final
				for _, kind := range []harness.Kind{harness.Invoke, a.Kind} {
					line := harness.Op{Index: len(h), Process: a.Process, Kind: kind, F: a.F, Node: a.Node, Phase: a.Phase}
					if kind != harness.Invoke {
						line.Flaws, line.Error = a.Flaws, a.Error
					}
					h = append(h, line)
				}
			}
			f := Audits().Check(t.Context(), h)
			if f.Verdict != c.want || !strings.Contains(f.Summary, c.says) {
				t.Errorf("got %s: %s, want %s: %q", f.Verdict, f.Summary, c.want, c.says)
			}
			if c.want == harness.Invalid && (f.Counts[c.audits[len(c.audits)-1].Flaws[0].Kind] != 1 || len(f.Anomalies) != 1) {
				t.Errorf("got %v, %+v", f.Counts, f.Anomalies)
			}
		})
	}
}
