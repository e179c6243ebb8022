package crdt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/version"
)

func author(n int) *Author { return &Author{ID: version.Actor{Node: uint64(n), Epoch: 7}} }

// A copier is a value that can be merged and compared.
type copier[T any] interface {
	Merge(T) T
	Encode() []byte
}

// history draws copies of a value that were changed and merged at random, each by an author of
// its own.
func history[T copier[T]](t *rapid.T, change func(T, *Author, int) T) []T {
	copies := make([]T, 3)
	authors := []*Author{author(1), author(2), author(3)}
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		i, j := rapid.IntRange(0, 2).Draw(t, "copy"), rapid.IntRange(0, 2).Draw(t, "other")
		if rapid.Bool().Draw(t, "merge") {
			copies[i] = copies[i].Merge(copies[j])
		} else {
			copies[i] = change(copies[i], authors[i], rapid.IntRange(0, 5).Draw(t, "what"))
		}
	}
	return copies
}

func laws[T copier[T]](t *testing.T, decode func(...[]byte) (T, error), change func(T, *Author, int) T) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		c := history(t, change)
		same := func(law string, a, b T) {
			if !bytes.Equal(a.Encode(), b.Encode()) {
				t.Fatalf("%s: %x and %x", law, a.Encode(), b.Encode())
			}
		}
		same("commutative", c[0].Merge(c[1]), c[1].Merge(c[0]))
		same("associative", c[0].Merge(c[1].Merge(c[2])), c[0].Merge(c[1]).Merge(c[2]))
		same("idempotent", c[0].Merge(c[0]), c[0])
		back, err := decode(c[0].Encode(), c[1].Encode())
		if err != nil {
			t.Fatal(err)
		}
		same("decoding merges", back, c[0].Merge(c[1]))
	})
}

func TestMergesFollowTheLaws(t *testing.T) {
	items := []string{"milk", "eggs", "bread"}
	t.Run("set", func(t *testing.T) {
		laws(t, DecodeSet, func(s Set, by *Author, n int) Set {
			if n < 3 {
				return s.Add(by, items[n])
			}
			return s.Remove(items[n-3])
		})
	})
	t.Run("cart", func(t *testing.T) {
		laws(t, DecodeCart, func(c Cart, by *Author, n int) Cart {
			if n < 3 {
				return c.Add(by, items[n], n+1)
			}
			return c.Remove(items[n-3])
		})
	})
	t.Run("counter", func(t *testing.T) {
		laws(t, DecodeCounter, func(c Counter, by *Author, n int) Counter { return c.Add(by, int64(n-2)) })
	})
	t.Run("register", func(t *testing.T) {
		laws(t, DecodeRegister, func(r Register, by *Author, n int) Register {
			return r.Set(by, []byte(items[n%3]), time.Unix(0, int64(n)))
		})
	})
}

// Against a model that knows every add and what each removal had seen: an element is there
// exactly if one of its adds was not seen by a removal.
func TestAnAddSurvivesTheRemovalsThatDidNotSeeIt(t *testing.T) {
	type add struct {
		item string
		n    int
	}
	rapid.Check(t, func(t *rapid.T) {
		var carts [3]Cart
		var sets [3]Set
		var seen [3]map[add]bool // adds that reached the copy; false: removed since
		authors := [2][3]*Author{{author(1), author(2), author(3)}, {author(4), author(5), author(6)}}
		for i := range seen {
			seen[i] = map[add]bool{}
		}
		for step := range rapid.IntRange(1, 20).Draw(t, "steps") {
			i, item := rapid.IntRange(0, 2).Draw(t, "copy"), rapid.SampledFrom([]string{"milk", "eggs"}).Draw(t, "item")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				carts[i], sets[i] = carts[i].Add(authors[0][i], item, step+1), sets[i].Add(authors[1][i], item)
				seen[i][add{item, step + 1}] = true
			case 1:
				carts[i], sets[i] = carts[i].Remove(item), sets[i].Remove(item)
				for a := range seen[i] {
					if a.item == item {
						seen[i][a] = false
					}
				}
			case 2:
				j := rapid.IntRange(0, 2).Draw(t, "other")
				carts[i], sets[i] = carts[i].Merge(carts[j]), sets[i].Merge(sets[j])
				for a, live := range seen[j] {
					if was, ok := seen[i][a]; !ok || was && !live {
						seen[i][a] = live
					}
				}
			}
			want := map[string]int{}
			for a, live := range seen[i] {
				if live {
					want[a.item] += a.n
				}
			}
			if got := carts[i].Items(); !maps.Equal(got, want) {
				t.Fatalf("cart has %v, want %v", got, want)
			}
			if got := sets[i].Elements(); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
				t.Fatalf("set has %v, want %v", got, want)
			}
		}
	})
}

func TestACounterCountsEachChangeOnce(t *testing.T) {
	a, b := author(1), author(2)
	one := Counter{}.Add(a, 5)
	other := one.Add(b, -2)
	one = one.Add(a, 1)
	both := one.Merge(other).Merge(one)
	if one.Value() != 6 || other.Value() != 3 || both.Value() != 4 {
		t.Errorf("got %d, %d and together %d; want 6, 3 and 4", one.Value(), other.Value(), both.Value())
	}
	if !both.Knows(*a) || other.Knows(*a) || both.Knows(*author(3)) {
		t.Error("a copy knows an author whose last change it lacks, or does not know one whose it has")
	}
}

// The clock of the second is an hour behind; its write is the last all the same for it has
// seen the first. Without that, the later stamp wins.
func TestTheLastWriteWinsAndAnAnswerIsLaterThanWhatItAnswers(t *testing.T) {
	noon := time.Unix(1e6, 0)
	first := Register{}.Set(author(1), []byte("first"), noon)
	answer := first.Set(author(2), []byte("answer"), noon.Add(-time.Hour))
	late := Register{}.Set(author(3), []byte("late"), noon.Add(time.Hour))
	for _, c := range []struct {
		r    Register
		want string
	}{{first.Merge(answer), "answer"}, {answer.Merge(first), "answer"}, {late.Merge(answer).Merge(first), "late"}} {
		if got, ok := c.r.Value(); !ok || string(got) != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if v, ok := (Register{}).Value(); ok || v != nil {
		t.Errorf("never set: %q", v)
	}
	if len(answer.Encode()) > len(first.Encode())+10 {
		t.Errorf("a register grows with its history: %d bytes, then %d", len(first.Encode()), len(answer.Encode()))
	}
}

func TestValuesOfAnotherKindAreNotMerged(t *testing.T) {
	cart := Cart{}.Add(author(1), "milk", 1).Encode()
	damaged := bytes.Clone(cart)
	damaged[len(damaged)-1]++
	odd := encode(kindCart, version.Set{}.Put(nil, version.Version{Dot: author(1).next(), Value: []byte{}}))
	for i, c := range []struct {
		values [][]byte
		want   error
	}{
		{[][]byte{cart, []byte("milk")}, store.ErrInvalid},
		{[][]byte{cart, Set{}.Encode()}, store.ErrInvalid},
		{[][]byte{cart, {}}, store.ErrInvalid},
		{[][]byte{cart, damaged}, store.ErrCorrupt},
		{[][]byte{odd}, store.ErrCorrupt},
	} {
		if got, err := DecodeCart(c.values...); !errors.Is(err, c.want) || len(got.Items()) > 0 {
			t.Errorf("%d: got %v, %v; want %v", i, got.Items(), err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Cart{}.Add(author(1), "milk", 1).Encode())
	f.Add(Counter{}.Add(author(1), -1).Encode())
	f.Add(Register{}.Set(author(1), []byte("x"), time.Unix(0, 1)).Encode())
	f.Add(Set{}.Add(author(1), "a", "b").Remove("a").Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCart(b); err == nil {
			_ = fmt.Sprint(c.Items())
			again, err := DecodeCart(c.Encode())
			if err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
				t.Errorf("%x is not stable: %v", b, err)
			}
		}
		if c, err := DecodeCounter(b); err == nil {
			c.Value()
		}
		if s, err := DecodeSet(b); err == nil {
			s.Elements()
		}
		if r, err := DecodeRegister(b); err == nil {
			r.Value()
		}
	})
}
