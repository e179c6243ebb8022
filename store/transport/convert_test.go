package transport

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// The numbers of the wire's enums are those of the store's.
func TestEnumsHaveEqualNumbers(t *testing.T) {
	fold := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for n, name := range storepb.Reply_State_name {
		if got := store.ReplicaState(n).String(); got != fold(name) {
			t.Errorf("replica state %d is %q, on the wire %q", n, got, name)
		}
	}
	same := func(what string, names map[int32]string, ours func(int32) string) {
		for n, name := range names {
			want := strings.ReplaceAll(strings.ToLower(name), "_", "-")
			if n == 0 {
				want = "default"
			}
			if got := ours(n); got != want {
				t.Errorf("%s %d is %q, on the wire %q", what, n, got, name)
			}
		}
	}
	same("mode", storepb.Mode_name, func(n int32) string { return store.Mode(n).String() })
	same("durability", storepb.Durability_name, func(n int32) string { // names of one package have to differ
		return map[bool]string{true: "durability-"}[n > 0] + store.Durability(n).String()
	})
	same("repair", storepb.Repair_name, func(n int32) string { return store.RepairMode(n).String() })
	same("not found", storepb.NotFound_name, func(n int32) string { return store.NotFoundMode(n).String() })
	if got := enum[store.Mode](storepb.Mode(257)); got != 255 {
		t.Errorf("an unknown mode wrapped to %d", got)
	}
}

func drawSiblings(t *rapid.T) (out []store.Sibling) {
	for range rapid.IntRange(0, 4).Draw(t, "siblings") {
		s := store.Sibling{Tombstone: rapid.Bool().Draw(t, "tombstone")}
		if !s.Tombstone {
			s.Value = rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
		}
		s.WriteID[0] = rapid.ByteRange(0, 2).Draw(t, "write")
		out = append(out, s)
	}
	return out
}

func drawMeta(t *rapid.T) store.Meta {
	m := store.Meta{
		Coordinator: store.NodeID(rapid.SampledFrom([]string{"", "n1"}).Draw(t, "node")), Forwarded: rapid.Bool().Draw(t, "forwarded"),
		Partition: rapid.Uint32().Draw(t, "partition"), Hinted: rapid.IntRange(0, 9).Draw(t, "hinted"),
		Siblings: rapid.IntRange(0, 9).Draw(t, "siblings"), Degraded: rapid.Bool().Draw(t, "degraded"), Repairs: rapid.IntRange(0, 9).Draw(t, "repairs"),
		N: rapid.IntRange(0, 3).Draw(t, "n"), Need: rapid.IntRange(0, 3).Draw(t, "need"), Owners: rapid.IntRange(0, 3).Draw(t, "owners"),
		StandIns: rapid.IntRange(0, 3).Draw(t, "stand-ins"), VectorEntries: rapid.IntRange(0, 3).Draw(t, "entries"),
		Rounds: rapid.IntRange(0, 3).Draw(t, "rounds"), Total: time.Duration(rapid.Int64().Draw(t, "total")),
	}
	for range rapid.IntRange(0, 3).Draw(t, "replies") {
		m.Replies = append(m.Replies, store.Reply{
			Node: "n2", For: "n3", State: store.ReplicaState(rapid.IntRange(0, 6).Draw(t, "state")), RTT: time.Duration(rapid.Int64().Draw(t, "rtt")),
		})
	}
	return m
}

// over sends a message through its encoding.
func over[M proto.Message](t *rapid.T, m, into M) M {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
	return into
}

// Whatever a write leaves behind, its client sees what the coordinator saw, although the
// value that it has just sent does not come back.
func TestWriteResultsCrossTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := store.WriteResult{Siblings: drawSiblings(t), Context: rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "context"), Meta: drawMeta(t)}
		sent := Write{Value: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "sent")}
		sent.WriteID[0] = rapid.ByteRange(0, 2).Draw(t, "write")
		msg := over(t, writeResultToProto(want, sent), &storepb.PutReply{})
		got, err := WriteResult(msg, sent.Value)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		for i, v := range msg.Versions {
			if elided := len(sent.Value) > 0 && want.Siblings[i].WriteID == sent.WriteID && !v.Tombstone && bytes.Equal(want.Siblings[i].Value, sent.Value); v.ValueElided != elided {
				t.Fatalf("version %d: elided is %v", i, v.ValueElided)
			}
		}
	})
}

func TestReadResultsCrossTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := store.ReadResult{Siblings: drawSiblings(t), Context: rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "context"), Meta: drawMeta(t)}
		msg := &storepb.GetReply{Versions: siblingsToProto(want.Siblings, Write{}), Context: want.Context, Meta: metaToProto(want.Meta)}
		got, err := ReadResult(over(t, msg, &storepb.GetReply{}))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestRequestsCrossTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Write{
			Key: store.Key(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "key")), Tombstone: rapid.Bool().Draw(t, "tombstone"),
			Context: rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "context"),
			Options: store.WriteOptions{
				N: rapid.IntRange(0, 9).Draw(t, "n"), W: rapid.IntRange(0, 9).Draw(t, "w"), PW: rapid.IntRange(0, 9).Draw(t, "pw"),
				DW: rapid.IntRange(0, 9).Draw(t, "dw"), NodeConfirms: rapid.IntRange(0, 9).Draw(t, "confirms"),
				Mode: store.Mode(rapid.IntRange(0, 2).Draw(t, "mode")), Durability: store.Durability(rapid.IntRange(0, 3).Draw(t, "durability")), Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")),
			},
		}
		want.WriteID[3] = rapid.Byte().Draw(t, "id")
		var got Write
		var err error
		if want.Tombstone {
			got, err = deleteFromProto(over(t, DeleteRequest(want), &storepb.DeleteRequest{}))
		} else {
			want.Value = rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "value")
			got, err = putFromProto(over(t, PutRequest(want), &storepb.PutRequest{}))
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestReadsCrossTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := store.ReadOptions{
			N: rapid.IntRange(0, 9).Draw(t, "n"), R: rapid.IntRange(0, 9).Draw(t, "r"), PR: rapid.IntRange(0, 9).Draw(t, "pr"),
			NodeConfirms: rapid.IntRange(0, 9).Draw(t, "confirms"), Mode: store.Mode(rapid.IntRange(0, 2).Draw(t, "mode")),
			Repair: store.RepairMode(rapid.IntRange(0, 3).Draw(t, "repair")), NotFound: store.NotFoundMode(rapid.IntRange(0, 3).Draw(t, "absent")),
			Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")), Floor: rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "floor"),
		}
		r := over(t, GetRequest("k", want), &storepb.GetRequest{})
		if got := readOptionsFromProto(r.GetOptions()); string(r.GetKey()) != "k" || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// A knob that makes no sense must reach the server as one that makes none.
func TestNumbersDoNotWrap(t *testing.T) {
	for _, n := range []int{-1, 1 << 32, 1<<32 + 2} {
		if got := writeOptionsFromProto(writeOptionsToProto(store.WriteOptions{W: n})); got.W < 1<<20 {
			t.Errorf("w %d arrived as %d", n, got.W)
		}
	}
}

func TestAnOddWriteIDIsRefused(t *testing.T) {
	if _, err := putFromProto(&storepb.PutRequest{WriteId: []byte("short")}); !store.Definite(err) {
		t.Errorf("got %v", err)
	}
}
