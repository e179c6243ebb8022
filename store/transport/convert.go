package transport

import (
	"bytes"
	"fmt"
	"time"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/storepb"
)

// The enums of the wire have the numbers of the store's own; convert_test.go holds it.

// enum keeps numbers that are too large from wrapping round into known ones.
func enum[T ~uint8, E ~int32](e E) T {
	if e < 0 || e > 255 {
		return T(255)
	}
	return T(e)
}

func replyToProto(r store.Reply) *storepb.Reply {
	return &storepb.Reply{
		Node: string(r.Node), ForNode: string(r.For),
		State: storepb.Reply_State(r.State), RttNanos: int64(r.RTT),
	}
}

func replyFromProto(r *storepb.Reply) store.Reply {
	state := store.ReplicaState(r.GetState())
	if r.GetState() < 0 || r.GetState() > storepb.Reply_REFUSED {
		state = store.ReplicaFailed // of a later version of the store
	}
	return store.Reply{
		Node: store.NodeID(r.GetNode()), For: store.NodeID(r.GetForNode()),
		State: state, RTT: time.Duration(r.GetRttNanos()),
	}
}

func metaToProto(m store.Meta) *storepb.Meta {
	out := &storepb.Meta{
		Coordinator: string(m.Coordinator), Forwarded: m.Forwarded, Partition: m.Partition,
		Hinted: uint32(m.Hinted), Durable: uint32(m.Durable), Siblings: uint32(m.Siblings), Degraded: m.Degraded, Repairs: uint32(m.Repairs),
		N: uint32(m.N), Need: uint32(m.Need), Owners: uint32(m.Owners), StandIns: uint32(m.StandIns),
		VectorEntries: uint32(m.VectorEntries), Rounds: uint32(m.Rounds), TotalNanos: int64(m.Total),
	}
	for _, r := range m.Replies {
		out.Replies = append(out.Replies, replyToProto(r))
	}
	return out
}

func metaFromProto(m *storepb.Meta) store.Meta {
	out := store.Meta{
		Coordinator: store.NodeID(m.GetCoordinator()), Forwarded: m.GetForwarded(), Partition: m.GetPartition(),
		Hinted: int(m.GetHinted()), Durable: int(m.GetDurable()), Siblings: int(m.GetSiblings()), Degraded: m.GetDegraded(), Repairs: int(m.GetRepairs()),
		N: int(m.GetN()), Need: int(m.GetNeed()), Owners: int(m.GetOwners()), StandIns: int(m.GetStandIns()),
		VectorEntries: int(m.GetVectorEntries()), Rounds: int(m.GetRounds()), Total: time.Duration(m.GetTotalNanos()),
	}
	for _, r := range m.GetReplies() {
		out.Replies = append(out.Replies, replyFromProto(r))
	}
	return out
}

func failureToProto(e *store.QuorumError) *storepb.QuorumFailure {
	return &storepb.QuorumFailure{
		Op: e.Op, Counted: e.Counted, Need: uint32(e.Need), Sent: uint32(e.Sent), Acks: uint32(e.Acks), Meta: metaToProto(e.Meta),
	}
}

func failureFromProto(f *storepb.QuorumFailure) *store.QuorumError {
	return &store.QuorumError{
		Op: f.GetOp(), Counted: f.GetCounted(), Need: int(f.GetNeed()), Sent: int(f.GetSent()), Acks: int(f.GetAcks()), Meta: metaFromProto(f.GetMeta()),
	}
}

// siblingsToProto elides the value that the client has just sent: it has it.
func siblingsToProto(siblings []store.Sibling, sent coordinator.Write) []*storepb.Version {
	var out []*storepb.Version
	for _, s := range siblings {
		v := &storepb.Version{Tombstone: s.Tombstone}
		if !s.WriteID.IsZero() {
			v.WriteId = s.WriteID[:]
		}
		if !s.Tombstone && len(s.Value) > 0 && s.WriteID == sent.WriteID && bytes.Equal(s.Value, sent.Value) {
			v.ValueElided = true
		} else {
			v.Value = s.Value
		}
		out = append(out, v)
	}
	return out
}

func siblingsFromProto(versions []*storepb.Version, sent []byte) ([]store.Sibling, error) {
	var out []store.Sibling
	for _, v := range versions {
		id, err := writeIDFromProto(v.GetWriteId())
		if err != nil {
			return nil, err
		}
		s := store.Sibling{Value: v.GetValue(), Tombstone: v.GetTombstone(), WriteID: id}
		switch {
		case v.GetValueElided():
			s.Value = bytes.Clone(sent)
		case s.Tombstone:
			s.Value = nil
		case s.Value == nil:
			s.Value = []byte{} // the wire does not tell an empty value from none; a sibling does
		}
		out = append(out, s)
	}
	return out, nil
}

func writeIDFromProto(b []byte) (id store.WriteID, err error) {
	if len(b) != 0 && len(b) != len(id) {
		return id, fmt.Errorf("write id of %d bytes, want %d: %w", len(b), len(id), store.ErrInvalid)
	}
	copy(id[:], b)
	return id, nil
}

// writeIDToProto copies the id: the message outlives the call.
func writeIDToProto(id store.WriteID) []byte {
	if id.IsZero() {
		return nil
	}
	return bytes.Clone(id[:])
}

// PutRequest translates a put that is not a delete.
func PutRequest(w coordinator.Write) *storepb.PutRequest {
	return &storepb.PutRequest{
		Key: []byte(w.Key), Value: w.Value, Context: w.Context, WriteId: writeIDToProto(w.WriteID),
		Options: writeOptionsToProto(w.Options),
	}
}

// DeleteRequest translates a delete.
func DeleteRequest(w coordinator.Write) *storepb.DeleteRequest {
	return &storepb.DeleteRequest{
		Key: []byte(w.Key), Context: w.Context, WriteId: writeIDToProto(w.WriteID),
		Options: writeOptionsToProto(w.Options),
	}
}

func putFromProto(r *storepb.PutRequest) (coordinator.Write, error) {
	id, err := writeIDFromProto(r.GetWriteId())
	return coordinator.Write{
		Key: store.Key(r.GetKey()), Value: r.GetValue(), Context: r.GetContext(), WriteID: id,
		Options: writeOptionsFromProto(r.GetOptions()),
	}, err
}

func deleteFromProto(r *storepb.DeleteRequest) (coordinator.Write, error) {
	id, err := writeIDFromProto(r.GetWriteId())
	return coordinator.Write{
		Key: store.Key(r.GetKey()), Tombstone: true, Context: r.GetContext(), WriteID: id,
		Options: writeOptionsFromProto(r.GetOptions()),
	}, err
}

func writeResultToProto(res store.WriteResult, sent coordinator.Write) *storepb.PutReply {
	return &storepb.PutReply{
		Versions: siblingsToProto(res.Siblings, sent), Context: res.Context, Meta: metaToProto(res.Meta),
	}
}

// WriteResult translates a put's reply; sent is the value that was put, which the reply elides.
func WriteResult(r *storepb.PutReply, sent []byte) (store.WriteResult, error) {
	siblings, err := siblingsFromProto(r.GetVersions(), sent)
	return store.WriteResult{Siblings: siblings, Context: r.GetContext(), Meta: metaFromProto(r.GetMeta())}, err
}

// GetRequest translates a read.
func GetRequest(key store.Key, o store.ReadOptions) *storepb.GetRequest {
	return &storepb.GetRequest{Key: []byte(key), Options: readOptionsToProto(o)}
}

// ReadResult translates a read's reply.
func ReadResult(r *storepb.GetReply) (store.ReadResult, error) {
	siblings, err := siblingsFromProto(r.GetVersions(), nil)
	return store.ReadResult{Siblings: siblings, Context: r.GetContext(), Meta: metaFromProto(r.GetMeta())}, err
}

// Write is what a client asks for; [PutRequest] and [DeleteRequest] translate it.
type Write = coordinator.Write
