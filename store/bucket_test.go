package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestAKeyBelongsToTheBucketBeforeItsFirstSlash(t *testing.T) {
	bs := Buckets{{Name: "carts", R: 1}, {Name: "", R: 3}}
	for key, want := range map[Key]int{"carts/1": 1, "carts/1/2": 1, "carts": 3, "cartsx/1": 3, "/carts": 3, "1/carts": 3} {
		if got := bs.Of(key).R; got != want {
			t.Errorf("%q has r=%d, want %d", key, got, want)
		}
	}
	if got := Buckets(nil).Of("carts/1"); got != (Bucket{}) {
		t.Errorf("without buckets: %+v", got)
	}
}

func TestBucketsAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Bucket{
		"cache:last-write-wins": {Name: "cache", LastWriteWins: true},
		":r=3":                  {R: 3},
		"c:n=3,r=1,w=2,pr=1,pw=2,dw=3,node-confirms=2,mode=strict,repair=blocking,not-found=does-not-count,durability=one": {
			Name: "c", N: 3, R: 1, W: 2, PR: 1, PW: 2, DW: 3, NodeConfirms: 2, Mode: Strict, Repair: RepairBlocking, NotFound: NotFoundDoesNotCount, Durability: DurabilityOne,
		},
	} {
		if got, err := ParseBucket(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, word := range map[string]string{
		"carts": "NAME:KNOB", "carts:": "NAME:KNOB", "c:r=x": "r=x", "c:q=1": "want n, r, w", "c:mode=lazy": "strict",
		"c:repair=later": "blocking", "c:not-found=maybe": "basic-quorum", "c:durability=some": "none", "c:last-write-wins=no": "last-write-wins",
	} {
		if _, err := ParseBucket(text); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: got %v, want it to say %q", text, err, word)
		}
	}
}

func TestBucketsThatCannotBeAreAllNamed(t *testing.T) {
	err := Buckets{
		{Name: "a", N: 4}, {Name: "a", R: 2}, {Name: "b", N: 2, W: 3}, {Name: "c/d"}, {Name: "e", PW: -1}, {Name: "f", Mode: 9},
	}.Validate(3)
	for _, want := range []string{`"a": n is 4`, `"a": declared twice`, `"b": w is 3 of 2`, `"c/d": a name`, `"e": pw is -1`, `"f": mode 9`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
	if err := (Buckets{{Name: "a", N: 2, R: 2}, {Name: ""}}).Validate(3); err != nil {
		t.Error(err)
	}
}
