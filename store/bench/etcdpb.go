package bench

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of etcd's messages that a benchmark needs (api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto). They are few, and
// etcd's client would bring modules of its own.
const (
	putKey        protowire.Number = 1
	putValue      protowire.Number = 2
	rangeKey      protowire.Number = 1
	rangeKVs      protowire.Number = 2
	keyValueValue protowire.Number = 5
)

// etcdPut encodes a PutRequest.
func etcdPut(key string, value []byte) []byte {
	b := make([]byte, 0, len(key)+len(value)+12)
	b = protowire.AppendString(protowire.AppendTag(b, putKey, protowire.BytesType), key)
	return protowire.AppendBytes(protowire.AppendTag(b, putValue, protowire.BytesType), value)
}

// etcdRange encodes a RangeRequest for one key. It is linearizable, which is the default.
func etcdRange(key string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, rangeKey, protowire.BytesType), key)
}

// etcdValues decodes the values of a RangeResponse. They alias it.
func etcdValues(reply []byte) (values [][]byte, err error) {
	err = eachBytes(reply, rangeKVs, func(kv []byte) error {
		var value []byte // an empty one is not sent
		if err := eachBytes(kv, keyValueValue, func(v []byte) error { value = v; return nil }); err != nil {
			return err
		}
		values = append(values, value)
		return nil
	})
	return values, err
}

// eachBytes visits the fields of a message that have a number and hold bytes.
func eachBytes(message []byte, number protowire.Number, visit func([]byte) error) error {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("reply of etcd: %w", protowire.ParseError(n))
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(num, typ, message)
		if size < 0 {
			return fmt.Errorf("reply of etcd: %w", protowire.ParseError(size))
		}
		if num == number && typ == protowire.BytesType {
			field, _ := protowire.ConsumeBytes(message)
			if err := visit(field); err != nil {
				return err
			}
		}
		message = message[size:]
	}
	return nil
}

// rawCodec sends and receives messages that are encoded already: []byte out, *[]byte in.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("encode %T: not bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("decode into %T: not bytes", v)
	}
	*b = data.Materialize() // a copy: the buffers are not ours to keep
	return nil
}

// Name is the one under which the other end knows the encoding.
func (rawCodec) Name() string { return "proto" }
