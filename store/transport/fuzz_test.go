package transport

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// FuzzMessages: whatever a peer or a client sends is understood or refused, and never more than
// that. What is understood as a write crosses the wire again as it is.
func FuzzMessages(f *testing.F) {
	for _, m := range []proto.Message{
		&storepb.PutRequest{Key: []byte("k"), Value: []byte("v"), WriteId: make([]byte, 16)},
		&storepb.GetReply{Versions: []*storepb.Version{{Value: []byte("v")}}},
		&storepb.QuorumFailure{Need: 2, Sent: 3},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var put storepb.PutRequest
		if proto.Unmarshal(b, &put) == nil {
			if w, err := putFromProto(&put); err == nil {
				again, err := putFromProto(PutRequest(w))
				if err != nil || again.Key != w.Key || again.WriteID != w.WriteID || string(again.Value) != string(w.Value) {
					t.Errorf("%v became %v, %v", w, again, err)
				}
			}
		}
		var del storepb.DeleteRequest
		if proto.Unmarshal(b, &del) == nil {
			_, _ = deleteFromProto(&del)
		}
		var get storepb.GetReply
		if proto.Unmarshal(b, &get) == nil {
			_, _ = ReadResult(&get)
		}
		var reply storepb.PutReply
		if proto.Unmarshal(b, &reply) == nil {
			_, _ = WriteResult(&reply, b)
		}
		var failure storepb.QuorumFailure
		if proto.Unmarshal(b, &failure) == nil {
			if e := failureFromProto(&failure); e.Unwrap() != store.ErrNoQuorum {
				t.Errorf("a failure became %v", e)
			}
		}
		var read storepb.ReadOptions
		if proto.Unmarshal(b, &read) == nil {
			_ = readOptionsFromProto(&read)
		}
		var wish storepb.Wish
		if proto.Unmarshal(b, &wish) == nil {
			_ = WishesFromProto([]*storepb.Wish{&wish})
		}
		if _, err := sumFromProto(b); err == nil && len(b) == 0 {
			t.Error("nothing became a sum")
		}
	})
}
