package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
)

// table prints rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func join(nodes []store.NodeID) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = string(n)
	}
	return strings.Join(names, " ")
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The JSON of a key's state. Values are base64, since they may hold any bytes; text is
// there beside them when they are text.
type (
	keyJSON struct {
		Key      string        `json:"key"`
		Siblings []siblingJSON `json:"siblings"`
		Context  string        `json:"context"`
		Meta     metaJSON      `json:"meta"`
	}
	siblingJSON struct {
		Value     []byte `json:"value,omitempty"`
		Text      string `json:"text,omitempty"`
		Tombstone bool   `json:"tombstone,omitempty"`
		WriteID   string `json:"write_id"`
	}
	metaJSON struct {
		Coordinator store.NodeID `json:"coordinator"`
		Partition   uint32       `json:"partition"`
		Forwarded   bool         `json:"forwarded,omitempty"`
		N           int          `json:"n"`
		Need        int          `json:"need"`
		Owners      int          `json:"owners"`
		StandIns    int          `json:"stand_ins,omitempty"`
		TotalNanos  int64        `json:"total_nanos"`
		Entries     int          `json:"vector_entries"`
		Degraded    bool         `json:"degraded,omitempty"`
		Hinted      int          `json:"hinted,omitempty"`
		Repairs     int          `json:"repairs,omitempty"`
		Replies     []replyJSON  `json:"replies"`
	}
	replyJSON struct {
		Node      store.NodeID `json:"node"`
		StandsFor store.NodeID `json:"stands_for,omitempty"`
		State     string       `json:"state"`
		RTTNanos  int64        `json:"rtt_nanos"`
	}
)

// The JSON of a member's status. Numbers that use all 64 bits are text: many readers of
// JSON would round them.
type (
	statusJSON struct {
		Member        store.NodeID      `json:"member"`
		Error         string            `json:"error,omitempty"` // why it did not answer; then nothing else is set
		NodeNumber    string            `json:"node_number,omitempty"`
		Incarnation   uint64            `json:"incarnation"`
		Ring          string            `json:"ring,omitempty"`
		Settled       bool              `json:"settled"`
		Fault         string            `json:"fault,omitempty"`
		UptimeNanos   int64             `json:"uptime_nanos"`
		Wall          time.Time         `json:"wall"` // by the member's own clock
		WriteAgeNanos int64             `json:"write_age_nanos"`
		Hints         uint64            `json:"hints"`
		InFlight      uint64            `json:"in_flight"`
		Peers         []peerJSON        `json:"peers"`
		Counters      map[string]uint64 `json:"counters"`
	}
	peerJSON struct {
		Node          store.NodeID `json:"node"`
		Up            bool         `json:"up"`
		Compared      bool         `json:"compared"`
		CleanAgeNanos int64        `json:"clean_age_nanos"`
	}
)

func statusOf(member store.NodeID, s client.Status) statusJSON {
	out := statusJSON{
		Member: member, NodeNumber: fmt.Sprintf("%016x", s.NodeNumber), Incarnation: s.Incarnation, Ring: ringDigest(s.RingDigest),
		Settled: s.Settled, Fault: s.Fault, UptimeNanos: int64(s.Uptime), Wall: s.Wall.UTC(), WriteAgeNanos: int64(s.WriteAge),
		Hints: s.Hints, InFlight: s.InFlight, Peers: []peerJSON{}, Counters: s.Counters,
	}
	for _, p := range s.Peers {
		out.Peers = append(out.Peers, peerJSON{p.Node, p.Up, p.Compared, int64(p.CleanAge)})
	}
	return out
}

// ringDigest names a ring: equal rings, equal names.
func ringDigest(d uint64) string { return fmt.Sprintf("%016x", d) }

func stateJSON(key string, siblings []store.Sibling, c store.Context, m store.Meta) keyJSON {
	out := keyJSON{
		Key: key, Siblings: siblingsJSON(siblings), Context: contextEncoding.EncodeToString(c),
		Meta: metaJSON{
			Coordinator: m.Coordinator, Partition: m.Partition, Forwarded: m.Forwarded,
			Degraded: m.Degraded, Hinted: m.Hinted, Repairs: m.Repairs, Replies: []replyJSON{},
			N: m.N, Need: m.Need, Owners: m.Owners, StandIns: m.StandIns, TotalNanos: int64(m.Total), Entries: m.VectorEntries,
		},
	}
	for _, r := range m.Replies {
		out.Meta.Replies = append(out.Meta.Replies, replyJSON{r.Node, r.For, r.State.String(), int64(r.RTT)})
	}
	return out
}

func siblingsJSON(siblings []store.Sibling) []siblingJSON {
	out := []siblingJSON{}
	for _, s := range siblings {
		j := siblingJSON{Value: s.Value, Tombstone: s.Tombstone, WriteID: s.WriteID.String()}
		if text := string(s.Value); strings.ToValidUTF8(text, "") == text {
			j.Text = text
		}
		out = append(out, j)
	}
	return out
}
