package coordinator

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"cartwheel/store"
)

func TestReadKnobsComeFromTheRequestThenTheBucketThenTheNode(t *testing.T) {
	strict := store.Bucket{N: 2, R: 1, PR: 1, NodeConfirms: 2, Mode: store.Strict, Repair: store.RepairBlocking, NotFound: store.NotFoundBasicQuorum}
	for _, c := range []struct {
		name   string
		bucket store.Bucket
		in     store.ReadOptions
		want   store.ReadOptions
	}{
		{
			name: "the node's", want: store.ReadOptions{N: 3, R: 2, Mode: store.Sloppy, Repair: store.RepairAsync, NotFound: store.NotFoundCounts},
		},
		{
			name: "the bucket's", bucket: strict,
			want: store.ReadOptions{N: 2, R: 1, PR: 1, NodeConfirms: 2, Mode: store.Strict, Repair: store.RepairBlocking, NotFound: store.NotFoundBasicQuorum},
		},
		{
			name: "the request's", bucket: strict,
			in:   store.ReadOptions{N: 1, R: 1, PR: 1, NodeConfirms: 1, Mode: store.Sloppy, Repair: store.RepairNone, NotFound: store.NotFoundCounts, Timeout: time.Second},
			want: store.ReadOptions{N: 1, R: 1, PR: 1, NodeConfirms: 1, Mode: store.Sloppy, Repair: store.RepairNone, NotFound: store.NotFoundCounts, Timeout: time.Second},
		},
		{
			name: "the node's R is more than a narrow bucket's N", bucket: store.Bucket{N: 1},
			want: store.ReadOptions{N: 1, R: 1, Mode: store.Sloppy, Repair: store.RepairAsync, NotFound: store.NotFoundCounts},
		},
	} {
		got, err := defaults{bucket: c.bucket, n: 3, r: 2, w: 2}.read(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestWriteKnobsComeFromTheRequestThenTheBucketThenTheNode(t *testing.T) {
	d := defaults{bucket: store.Bucket{N: 2, W: 1, PW: 1, DW: 2, NodeConfirms: 2, Mode: store.Strict}, n: 3, r: 2, w: 2}
	for _, c := range []struct{ in, want store.WriteOptions }{
		{store.WriteOptions{}, store.WriteOptions{N: 2, W: 1, PW: 1, DW: 2, NodeConfirms: 2, Mode: store.Strict, Durability: store.DurabilityAll}},
		{store.WriteOptions{W: 2, DW: 1, Mode: store.Sloppy}, store.WriteOptions{N: 2, W: 2, PW: 1, DW: 1, NodeConfirms: 2, Mode: store.Sloppy, Durability: store.DurabilityAll}},
	} {
		if got, err := d.write(c.in); err != nil || got != c.want {
			t.Errorf("%+v: got %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
	if got := writeConditions(store.WriteOptions{W: 1, DW: 2, PW: 1, NodeConfirms: 3}); got.Acks != 2 || got.Owners != 1 || got.Nodes != 3 {
		t.Errorf("waits for %+v", got)
	}
}

// Every knob that is out of range is named, all at once.
func TestKnobsOutOfRangeAreRefusedByName(t *testing.T) {
	d := defaults{bucket: store.Bucket{N: 2}, n: 3, r: 2, w: 2}
	_, err := d.read(store.ReadOptions{N: 3, R: 4, PR: -1, NodeConfirms: 4, Mode: 9, Repair: 9, NotFound: 9, Timeout: -1})
	_, werr := d.write(store.WriteOptions{N: 3, W: 4, PW: -1, DW: 4, NodeConfirms: 4, Mode: 9, Timeout: -1})
	if !errors.Is(err, store.ErrInvalid) || !errors.Is(werr, store.ErrInvalid) {
		t.Fatalf("got %v, %v", err, werr)
	}
	for _, want := range []string{"n is 3, want 1 to 2", "r is 4", "pr is -1", "node confirms is 4", "mode 9, repair 9, not found 9", "timeout is -1ns"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	for _, want := range []string{"n is 3, want 1 to 2", "w is 4", "pw is -1", "dw is 4", "node confirms is 4", "mode 9", "timeout is -1ns"} {
		if !strings.Contains(werr.Error(), want) {
			t.Errorf("%v\ndoes not say %q", werr, want)
		}
	}
}

// A DW that is asked for is on disk, whatever the durability.
func TestTheDurabilityOfAWrite(t *testing.T) {
	const none, one, all = store.DurabilityNone, store.DurabilityOne, store.DurabilityAll
	for _, c := range []struct {
		node, bucket, request store.Durability
		dw                    int
		want                  store.Durability
	}{
		{0, 0, 0, 0, all},
		{one, 0, 0, 0, one},
		{one, all, 0, 0, all},
		{all, all, none, 0, none},
		{all, 0, one, 1, one},
		{all, 0, one, 2, all},
		{none, 0, 0, 1, one},
		{none, 0, 0, 2, all},
	} {
		d := defaults{bucket: store.Bucket{Durability: c.bucket}, n: 3, r: 2, w: 2, durability: c.node, objectBuffer: true}
		if got, err := d.write(store.WriteOptions{DW: c.dw, Durability: c.request}); err != nil || got.Durability != c.want {
			t.Errorf("%+v: got %v, %v", c, got.Durability, err)
		}
	}
	for _, bad := range []store.Durability{none, 9} {
		if _, err := (defaults{n: 3, r: 2, w: 2}).write(store.WriteOptions{Durability: bad}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%d without an object buffer: %v", bad, err)
		}
	}
}
