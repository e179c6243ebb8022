package sim

import (
	"encoding/hex"
	"path"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// tracedValueBytesMax is how long a value may be to be part of a trace. Of a longer one the
// write's name remains, by which the history has it.
const tracedValueBytesMax = 200

// readRequest reads what a request says. What cannot be read is left out: a trace is
// for people.
func readRequest(m wire.Message) trace.Line {
	l := trace.Line{Method: path.Base(m.Method)}
	read := func(p proto.Message) bool { return proto.Unmarshal(m.Body, p) == nil }
	switch l.Method {
	case "Get":
		var r storepb.GetRequest
		if read(&r) {
			l.Key = string(r.GetKey())
		}
	case "Put":
		var r storepb.PutRequest
		if read(&r) {
			putLine(&l, &r)
		}
	case "Delete":
		var r storepb.DeleteRequest
		if read(&r) {
			deleteLine(&l, &r)
		}
	case "Forward":
		var r storepb.ForwardRequest
		if !read(&r) {
			break
		}
		if d := r.GetDelete(); d != nil {
			deleteLine(&l, d)
		} else {
			putLine(&l, r.GetPut())
		}
	case "ReplicaGet":
		var r storepb.ReplicaGetRequest
		if read(&r) {
			l.Key = string(r.GetKey())
		}
	case "ReplicaMerge":
		var r storepb.ReplicaMergeRequest
		if read(&r) {
			l.Key, l.For, l.Versions = string(r.GetKey()), harness.Machine(harness.NodeID(r.GetHintFor())), stateVersions(r.GetState())
		}
	case "ReadReplica":
		var r storepb.ReadReplicaRequest
		if read(&r) {
			l.Key = string(r.GetKey())
		}
	}
	return l
}

func putLine(l *trace.Line, r *storepb.PutRequest) {
	l.Key = string(r.GetKey())
	l.Versions = []harness.Sibling{sibling(r.GetValue(), false, r.GetWriteId())}
}

func deleteLine(l *trace.Line, r *storepb.DeleteRequest) {
	l.Key = string(r.GetKey())
	l.Versions = []harness.Sibling{sibling(nil, true, r.GetWriteId())}
}

// readReply reads what an answer says to a request.
func readReply(m wire.Message, request trace.Line) trace.Line {
	l := trace.Line{Method: request.Method, What: request.What, Key: request.Key, For: request.For}
	if m.Status.Code() != codes.OK {
		l.Error = m.Status.Code().String() + ": " + m.Status.Message()
		return l
	}
	read := func(p proto.Message) bool { return proto.Unmarshal(m.Body, p) == nil }
	switch l.Method {
	case "Get":
		var r storepb.GetReply
		if read(&r) {
			l.Versions = protoVersions(r.GetVersions())
		}
	case "Put", "Delete", "Forward":
		var r storepb.PutReply
		if read(&r) {
			l.Versions = protoVersions(r.GetVersions())
		}
	case "ReplicaGet":
		var r storepb.ReplicaGetReply
		if read(&r) {
			l.Versions = stateVersions(r.GetState())
		}
	case "ReadReplica":
		var r storepb.ReadReplicaReply
		if read(&r) {
			l.Versions = protoVersions(r.GetVersions())
		}
	}
	return l
}

func stateVersions(state []byte) []harness.Sibling {
	if len(state) == 0 {
		return nil
	}
	set, err := version.DecodeSet(state)
	if err != nil {
		return nil
	}
	var out []harness.Sibling
	for _, s := range set.Siblings() {
		out = append(out, sibling(s.Value, s.Tombstone, s.WriteID[:]))
	}
	return out
}

func protoVersions(versions []*storepb.Version) []harness.Sibling {
	var out []harness.Sibling
	for _, v := range versions {
		out = append(out, sibling(v.GetValue(), v.GetTombstone(), v.GetWriteId()))
	}
	return out
}

func sibling(value []byte, tombstone bool, id []byte) harness.Sibling {
	s := harness.Sibling{Tombstone: tombstone, Write: hex.EncodeToString(id)}
	if len(value) <= tracedValueBytesMax {
		s.Value = string(value)
	}
	return s
}
