package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/crdt"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// A world is a key on some replicas that hear of each other late. Each read shows one of
// them, each write reaches one; answers get lost.
type world struct {
	replicas []version.Set
	made     uint64
	draw     func(n int) int // 0 to n-1
	silent   bool            // most writes are lost, and all answers to them
	refusal  error
}

func (w *world) conn() *conn {
	return &conn{f: func(_ context.Context, args, reply any) error {
		at := w.draw(len(w.replicas))
		switch r := args.(type) {
		case *storepb.GetRequest:
			s := w.replicas[at]
			out := reply.(*storepb.GetReply)
			out.Context = version.Token{Vector: s.Vector}.Encode(store.Key(r.GetKey()))
			for _, v := range s.Siblings() {
				out.Versions = append(out.Versions, &storepb.Version{Value: v.Value, Tombstone: v.Tombstone, WriteId: v.WriteID[:]})
			}
			return nil
		case *storepb.PutRequest:
			fate := w.draw(8)
			if fate == 0 && !w.silent {
				return w.refusal
			}
			if fate != 1 && (!w.silent || fate > 5) {
				w.put(at, r)
			}
			if w.silent || fate <= 2 {
				return status.Error(codes.Unavailable, "reset")
			}
			return nil
		}
		return fmt.Errorf("unexpected %T", args)
	}}
}

func (w *world) put(at int, r *storepb.PutRequest) {
	past, err := version.DecodeToken(store.Key(r.GetKey()), r.GetContext())
	if err != nil {
		panic(err)
	}
	id := store.WriteID(r.GetWriteId())
	if w.replicas[at].HasWrite(id) {
		return
	}
	w.made++
	w.replicas[at] = w.replicas[at].Put(past.Vector, version.Version{
		Dot: version.Dot{Actor: version.Actor{Node: uint64(at + 1), Epoch: 1}, Counter: w.made}, Value: r.GetValue(), WriteID: id,
	})
}

// meet joins two replicas, or all.
func (w *world) meet(all bool) {
	i, j := w.draw(len(w.replicas)), w.draw(len(w.replicas))
	w.replicas[i] = version.Merge(w.replicas[i], w.replicas[j])
	for k := range w.replicas {
		if all {
			w.replicas[0] = version.Merge(w.replicas[0], w.replicas[k])
		}
	}
	if all {
		for k := range w.replicas {
			w.replicas[k] = w.replicas[0]
		}
	}
}

// Clients that read stale replicas, lose answers and repeat puts lose no change that was
// acknowledged, and make none twice.
func TestChangesAreMadeOnceHoweverStaleTheReads(t *testing.T) {
	refusal := sworn(t, codes.ResourceExhausted, "OVERLOADED", "true")
	rapid.Check(t, func(rt *rapid.T) {
		choices := rapid.SliceOfN(rapid.Byte(), 100, 200).Draw(rt, "choices")
		w := &world{replicas: make([]version.Set, 3), refusal: refusal, draw: func(n int) int {
			if len(choices) == 0 {
				return n - 1
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		}}
		var wrong error
		synctest.Test(t, func(*testing.T) { wrong = w.play(context.Background(), w.draw(2) == 0) }) // the pauses are virtual
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// play lets two clients add to a cart or a counter, and reports what is not as they were told.
func (w *world) play(ctx context.Context, cart bool) error {
	draws := uint64(0)
	names := Options{Rand: func(...uint64) uint64 { draws++; return draws }}
	clients := []*Client{New(w.conn(), names), New(w.conn(), names)}
	acked, unknown := map[string]int{}, map[string]int{}
	for range 8 {
		c, item, by := clients[w.draw(2)], fmt.Sprint(w.draw(2)), 1+w.draw(3)
		if w.silent = w.draw(3) == 0; w.draw(3) == 0 {
			w.meet(false)
		}
		var err error
		if cart {
			err = c.Cart("k").Add(ctx, item, by)
		} else {
			item = ""
			err = c.Counter("k").Add(ctx, int64(by))
		}
		switch Outcome(err) {
		case store.OutcomeOK:
			acked[item] += by
		case store.OutcomeUnknown:
			unknown[item] += by
		}
	}
	w.meet(true)
	got := map[string]int{}
	var err error
	if cart {
		got, err = clients[0].Cart("k").Items(ctx)
	} else {
		var n int64
		n, err = clients[0].Counter("k").Value(ctx)
		got[""] = int(n)
	}
	for _, item := range []string{"", "0", "1"} {
		if n := got[item]; n < acked[item] || n > acked[item]+unknown[item] {
			err = errors.Join(err, fmt.Errorf("%q: %d, of which %d were acknowledged and of %d the outcome is unknown", item, n, acked[item], unknown[item]))
		}
	}
	return err
}

// perfect is a world without faults of one replica.
func perfect() *Client {
	w := &world{replicas: make([]version.Set, 1), draw: func(n int) int { return n - 1 }}
	return New(w.conn(), Options{})
}

func TestTheOneLinersDoWhatTheySay(t *testing.T) {
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cart := perfect().Cart("k")
	must(cart.Add(ctx, "milk", 2))
	must(cart.Add(ctx, "milk", 1))
	must(cart.Add(ctx, "eggs", 6))
	must(cart.Remove(ctx, "eggs"))
	must(cart.Remove(ctx, "bread"))
	if items, err := cart.Items(ctx); err != nil || !reflect.DeepEqual(items, map[string]int{"milk": 3}) {
		t.Errorf("got %v, %v", items, err)
	}
	if err := cart.Add(ctx, "milk", 0); !errors.Is(err, store.ErrInvalid) || !Definite(err) {
		t.Errorf("got %v", err)
	}
	set := perfect().Set("k")
	must(set.Add(ctx, "b", "a"))
	must(set.Remove(ctx, "b", "c"))
	must(set.Remove(ctx, "c"))
	if got, err := set.Elements(ctx); err != nil || !reflect.DeepEqual(got, []string{"a"}) {
		t.Errorf("got %v, %v", got, err)
	}
	counter := perfect().Counter("k")
	must(counter.Add(ctx, 5))
	must(counter.Add(ctx, -7))
	if got, err := counter.Value(ctx); err != nil || got != -2 {
		t.Errorf("got %d, %v", got, err)
	}
	register := perfect().Register("k")
	if v, found, err := register.Get(ctx); v != nil || found || err != nil {
		t.Errorf("never set: %q, %v, %v", v, found, err)
	}
	must(register.Set(ctx, []byte("a")))
	must(register.Set(ctx, []byte("b")))
	if v, found, err := register.Get(ctx); string(v) != "b" || !found || err != nil {
		t.Errorf("got %q, %v, %v", v, found, err)
	}
}

// A client goes on as the author that the value knows, so values do not grow with changes.
func TestAClientChangesAKeyAsOneAuthor(t *testing.T) {
	w := &world{replicas: make([]version.Set, 1), draw: func(n int) int { return n - 1 }}
	c := New(w.conn(), Options{})
	size := 0
	for i := range 50 {
		if err := c.Counter("k").Add(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			size = len(w.replicas[0].Versions[0].Value)
		}
	}
	if got := len(w.replicas[0].Versions[0].Value); got > size+4 {
		t.Errorf("the value took %d bytes, and %d after 50 changes", size, got)
	}
	for i := range AuthorsMax + 1 {
		c.keepAuthor(store.Key(fmt.Sprint(i)), crdt.Author{Made: 1})
	}
	if len(c.authors) > AuthorsMax {
		t.Errorf("remembers %d authors", len(c.authors))
	}
}

func TestGetOneResolvesWhatIsThere(t *testing.T) {
	k := &oneKey{}
	join := func(live [][]byte) (all []byte, _ error) {
		for _, v := range live {
			all = append(all, v...)
		}
		return all, nil
	}
	c := New(k.conn(), Options{})
	if v, found, err := c.GetOne(context.Background(), "k", join); string(v) != "milkbread" || !found || err != nil {
		t.Errorf("got %q, %v, %v", v, found, err)
	}
	if _, _, err := c.GetOne(context.Background(), "k", Only); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v", err)
	}
	if v, err := Only([][]byte{[]byte("a"), []byte("a")}); string(v) != "a" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if v, found, err := perfect().GetOne(context.Background(), "k", Only); v != nil || found || err != nil {
		t.Errorf("of nothing: %q, %v, %v", v, found, err)
	}
	// A value that somebody wrote otherwise is not overwritten.
	if err := c.Cart("k").Add(context.Background(), "eggs", 1); !errors.Is(err, store.ErrInvalid) || len(k.puts) > 0 {
		t.Errorf("got %v after %d puts", err, len(k.puts))
	}
}

func ExampleClient_Cart() {
	c, err := Dial(Options{Addresses: []string{"127.0.0.1:7071", "127.0.0.1:7072"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	if err := c.Cart("cart:1").Add(ctx, "milk", 2); err != nil {
		fmt.Println(err)
	}
	items, err := c.Cart("cart:1").Items(ctx) // of both sides of a cut, once it has healed
	fmt.Println(items["milk"], err)
}

// A write that was stored although nobody said so must not be mistaken for the next one of
// the same client, which was made without knowledge of it.
func TestAnAuthorIsNotUsedAfterAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, fate := 0, 7
		w := &world{replicas: make([]version.Set, 2), draw: func(n int) int {
			if n == 8 {
				return fate
			}
			return at
		}}
		n, ctx := New(w.conn(), Options{}).Counter("k"), context.Background()
		add := func(want store.Outcome) {
			t.Helper()
			if err := n.Add(ctx, 1); Outcome(err) != want {
				t.Fatalf("%v is %v, want %v", err, Outcome(err), want)
			}
		}
		add(store.OutcomeOK)
		w.replicas[1] = w.replicas[0]
		fate = 2 // stored, and the answer lost
		add(store.OutcomeUnknown)
		at, fate = 1, 7
		add(store.OutcomeOK)
		w.replicas[1] = version.Merge(w.replicas[0], w.replicas[1])
		if got, err := n.Value(ctx); got != 3 || err != nil {
			t.Errorf("got %d, %v; want 3", got, err)
		}
	})
}
