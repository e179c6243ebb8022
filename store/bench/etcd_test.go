package bench

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

func TestRequestsToEtcdAreEncodedAsItsContractSays(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"put", etcdPut("ab", []byte{7, 8, 9}), "0a026162" + "1203070809"},
		{"put, a length of two bytes", etcdPut("a", bytes.Repeat([]byte{1}, 300)), "0a0161" + "12ac02" + strings.Repeat("01", 300)},
		{"range", etcdRange("ab"), "0a026162"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		sent, err := rawCodec{}.Marshal(c.got)
		if err != nil {
			t.Fatal(err)
		}
		var back []byte
		if err := (rawCodec{}).Unmarshal(sent, &back); err != nil || !bytes.Equal(back, c.got) {
			t.Errorf("%s: the codec made %x of it, %v", c.name, back, err)
		}
	}
	if _, err := (rawCodec{}).Marshal("text"); err == nil {
		t.Error("the codec took what is not bytes")
	}
	if err := (rawCodec{}).Unmarshal(mem.BufferSlice{}, new(string)); err == nil {
		t.Error("the codec decoded into what is not bytes")
	}
}

func TestValuesAreFoundInRepliesOfEtcd(t *testing.T) {
	const (
		header = "0a06" + "0801" + "1002" + "1803"                                  // cluster_id, member_id, revision
		kv     = "120f" + "0a026162" + "1004" + "1805" + "2001" + "2a03070809"      // key, three revisions, value
		empty  = "1204" + "0a026162"                                                // a value of no bytes is left out
		count  = "2001"                                                             // the number of keys
		other  = "120f" + "0a026162" + "1004" + "1805" + "2001" + "2a03" + "0a0b0c" // another value
	)
	for _, c := range []struct {
		name, reply string
		want        []string
	}{
		{"one key", header + kv + count, []string{"070809"}},
		{"no key", header, nil},
		{"two keys", header + kv + other + "2002", []string{"070809", "0a0b0c"}},
		{"an empty value", header + empty + count, []string{""}},
		{"nothing", "", nil},
	} {
		reply, err := hex.DecodeString(c.reply)
		if err != nil {
			t.Fatal(err)
		}
		values, err := etcdValues(reply)
		var got []string
		for _, v := range values {
			got = append(got, hex.EncodeToString(v))
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, damaged := range []string{"12", "1210", header + kv[:len(kv)-2], "1203" + "2a0507"} {
		reply, err := hex.DecodeString(damaged)
		if err != nil {
			t.Fatal(err)
		}
		if values, err := etcdValues(reply); err == nil {
			t.Errorf("%s: got %x, want an error", damaged, values)
		}
	}
}
