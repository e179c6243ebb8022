package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// A cluster of one key answers gets with two siblings and a tombstone, and puts as the
// script says.
type oneKey struct {
	gets int
	puts []*storepb.PutRequest
	fate func(put int) error
}

func (k *oneKey) conn() *conn {
	return &conn{f: func(_ context.Context, args, reply any) error {
		switch r := args.(type) {
		case *storepb.GetRequest:
			k.gets++
			*reply.(*storepb.GetReply) = storepb.GetReply{
				Versions: []*storepb.Version{{Value: []byte("milk")}, {Value: []byte("bread")}, {Tombstone: true}},
				Context:  fmt.Append(nil, "read ", k.gets),
			}
		case *storepb.PutRequest:
			k.puts = append(k.puts, r)
			return k.fate(len(k.puts))
		}
		return nil
	}}
}

// union is a change that loses nothing.
func union(live []store.Sibling) ([]byte, error) {
	var all []string
	for _, s := range live {
		all = append(all, string(s.Value))
	}
	return []byte(strings.Join(append(all, "eggs"), "+")), nil
}

func TestUpdateRepeatsAnUnknownPutUnderItsName(t *testing.T) {
	lost := status.Error(codes.Unavailable, "reset")
	for _, c := range []struct {
		name    string
		fates   []error // of the puts; the rest succeed
		gets    int
		puts    string // attempts by name: "aab" is a put, its repetition, and another put
		outcome store.Outcome
	}{
		{name: "at once", gets: 1, puts: "a"},
		{name: "an unknown outcome", fates: []error{lost, lost}, gets: 1, puts: "aaa"},
		{name: "a refusal that proves it unwritten", fates: []error{sworn(t, codes.ResourceExhausted, "OVERLOADED", "true")}, gets: 2, puts: "ab"},
		{
			name: "a refusal of a repetition proves nothing of the first attempt", fates: []error{lost, sworn(t, codes.ResourceExhausted, "OVERLOADED", "true")},
			gets: 1, puts: "aaa",
		},
		{
			name: "never clear", fates: []error{lost, lost, lost, lost, sworn(t, codes.ResourceExhausted, "OVERLOADED", "true")},
			gets: 1, puts: "aaaaa", outcome: store.OutcomeUnknown,
		},
		{name: "trying again cannot help", fates: []error{sworn(t, codes.InvalidArgument, "TOO_LARGE", "true")}, gets: 1, puts: "a", outcome: store.OutcomeNotWritten},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &oneKey{fate: func(put int) error {
					if put <= len(c.fates) {
						return c.fates[put-1]
					}
					return nil
				}}
				_, err := New(k.conn(), Options{}).Update(context.Background(), "k", union)
				if Outcome(err) != c.outcome {
					t.Errorf("%v is %v, want %v", err, Outcome(err), c.outcome)
				}
				names, got := map[string]byte{}, ""
				for _, p := range k.puts {
					id := string(p.GetWriteId())
					if names[id] == 0 {
						names[id] = byte('a' + len(names))
					}
					got += string(names[id])
					if want := fmt.Sprint("read ", len(names)); string(p.GetContext()) != want || string(p.GetValue()) != "milk+bread+eggs" {
						t.Errorf("put %q with context %q, want %q", p.GetValue(), p.GetContext(), want)
					}
				}
				if got != c.puts || k.gets != c.gets {
					t.Errorf("puts %s after %d gets, want %s after %d", got, k.gets, c.puts, c.gets)
				}
			})
		})
	}
}

func TestAPutIsMadeAgainUnderItsName(t *testing.T) {
	lost, refused := status.Error(codes.Unavailable, "reset"), sworn(t, codes.ResourceExhausted, "OVERLOADED", "true")
	for _, c := range []struct {
		name    string
		fates   []error // of the attempts; the rest succeed
		sent    int
		outcome store.Outcome
	}{
		{name: "at once", sent: 1},
		{name: "an unknown outcome", fates: []error{lost, lost}, sent: 3},
		{name: "refused at once", fates: []error{refused}, sent: 1, outcome: store.OutcomeNotWritten},
		{name: "a refusal proves nothing of the attempt before", fates: []error{lost, refused}, sent: 3},
		{name: "never clear", fates: []error{lost, lost, refused}, sent: 3, outcome: store.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &oneKey{fate: func(put int) error {
					if put <= len(c.fates) {
						return c.fates[put-1]
					}
					return nil
				}}
				_, sent, err := New(k.conn(), Options{}).PutAgain(t.Context(), "k", []byte("milk"), nil, 3, store.WriteOptions{})
				if sent != c.sent || len(k.puts) != c.sent || Outcome(err) != c.outcome {
					t.Errorf("sent %d times, %v is %v; want %d times, %v", sent, err, Outcome(err), c.sent, c.outcome)
				}
				for _, p := range k.puts {
					if string(p.GetWriteId()) != string(k.puts[0].GetWriteId()) {
						t.Error("an attempt has a name of its own")
					}
				}
			})
		})
	}
}

func TestUpdateLeavesThingsAloneWhenAskedTo(t *testing.T) {
	odd := errors.New("no such item")
	for want, change := range map[error]func([]store.Sibling) ([]byte, error){
		nil: func([]store.Sibling) ([]byte, error) { return nil, ErrKeep },
		odd: func([]store.Sibling) ([]byte, error) { return nil, odd },
	} {
		k := &oneKey{}
		if _, err := New(k.conn(), Options{}).Update(context.Background(), "k", change); !errors.Is(err, want) || len(k.puts) != 0 || k.gets != 1 {
			t.Errorf("got %v after %d puts and %d gets, want %v", err, len(k.puts), k.gets, want)
		}
	}
}

func ExampleClient_Update() {
	c, err := Dial(Options{Addresses: []string{"127.0.0.1:7071", "127.0.0.1:7072"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	// Concurrent carts become one that has everything, and the eggs are in it.
	_, err = c.Update(context.Background(), "cart:1", func(live []store.Sibling) ([]byte, error) {
		var items []string
		for _, s := range live {
			items = append(items, strings.Fields(string(s.Value))...)
		}
		return []byte(strings.Join(append(items, "eggs"), " ")), nil
	})
	fmt.Println("outcome:", Outcome(err))
}
