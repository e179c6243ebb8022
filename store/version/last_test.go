package version

import (
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
)

// However copies meet, readers of a last-write-wins bucket are shown the same one version,
// and there is one as long as there is any (a reduction that kept the clock and dropped the
// value made keys unreadable elsewhere; bug M15).
func TestTheLastWriteIsTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var copies []Set
		for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
			v := Version{
				Dot: Dot{Actor{Node: uint64(i + 1), Epoch: 1}, 1}, Value: []byte{byte(i)}, WriteID: store.WriteID{byte(i)},
				Stamp: int64(rapid.IntRange(0, 2).Draw(t, "stamp")),
			}
			copies = append(copies, Set{}.Put(nil, v))
		}
		forth, back := Set{}, Set{}
		for i := range copies {
			forth = Merge(forth, copies[i])
			back = Merge(back, copies[len(copies)-1-i])
		}
		a, b := forth.LastWritten(), back.LastWritten()
		if len(a) != 1 || len(b) != 1 || a[0].WriteID != b[0].WriteID {
			t.Fatalf("got %v and %v", a, b)
		}
		for _, v := range forth.Versions {
			if v.WriteID == a[0].WriteID {
				for _, w := range forth.Versions {
					if w.Stamp > v.Stamp {
						t.Fatalf("%v was shown, %v is later", v, w)
					}
				}
			}
		}
	})
	if got := (Set{}).LastWritten(); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
