package sim

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"cartwheel/harness"
	"cartwheel/store"
)

func TestMachinesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := map[store.NodeID]Seams{}
		o := Options{Seed: 1, Nodes: 3}
		o.Open = func(s Seams) (Process, error) {
			lives[s.ID] = s
			return openToy(s)
		}
		c, err := New(o)
		must(t, err)
		if err := c.Add(t.Context(), "n9"); !errors.Is(err, ErrStopped) {
			t.Errorf("added to a cluster that does not run: %v", err)
		}
		must(t, c.Start(t.Context()))
		must(t, c.Add(t.Context(), "n9"))
		if got := c.Spares(); !slices.Equal(got, []harness.NodeID{"n9"}) || len(c.Nodes()) != o.Nodes {
			t.Errorf("spares %v, nodes %v", got, c.Nodes())
		}
		if s := lives["n9"]; len(s.Members) != 0 || len(s.Seeds) != o.Nodes {
			t.Errorf("an added machine is told of %d members and %d seeds", len(s.Members), len(s.Seeds))
		}
		must(t, put(c, "n9", "k", "v", true))
		for _, bad := range []error{c.Add(t.Context(), "n9"), c.Add(t.Context(), "n1"), c.Add(t.Context(), ""), c.Remove(t.Context(), "n1"), c.Wipe(t.Context(), "n2")} {
			if bad == nil {
				t.Error("a name that is taken, a machine of the begin removed, or a node that lives wiped, and no error")
			}
		}
		must(t, c.Remove(t.Context(), "n9"))
		must(t, c.Remove(t.Context(), "n9"))
		if err := put(c, "n9", "k", "v", true); err == nil || len(c.Spares()) != 0 {
			t.Errorf("it is gone, and answers: %v; spares %v", err, c.Spares())
		}
		must(t, put(c, "n2", "k", "v", true))
		must(t, c.Kill(t.Context(), "n2"))
		must(t, c.Wipe(t.Context(), "n2"))
		must(t, c.Restart(t.Context(), "n2"))
		if s, again := lives["n2.2"]; !again || len(s.Members) != 0 || len(s.Seeds) != o.Nodes-1 {
			t.Errorf("after its wipe n2 is %+v", s)
		}
		if v, err := get(c, "n2", "k"); err != nil || v != "" {
			t.Errorf("its disk is empty, and shows %q, %v", v, err)
		}
		must(t, c.Add(t.Context(), "n9"))
		must(t, c.Stop(t.Context()))
	})
}

// What a member has synced is in its image, what it wrote later is not, and the same image may come back more than once.
func TestAMemberIsGivenItsDiskOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Seed: 1, Nodes: 3, Open: openToy})
		must(t, err)
		if err := c.Keep(t.Context(), "n2"); !errors.Is(err, ErrStopped) {
			t.Errorf("an image was kept of a cluster that does not run: %v", err)
		}
		must(t, c.Start(t.Context()))
		must(t, put(c, "n2", "k", "then", true))
		must(t, put(c, "n2", "unsynced", "then", false))
		must(t, c.Kill(t.Context(), "n3"))
		if err := c.Rewind(t.Context(), "n3"); err == nil {
			t.Error("rewound a node without an image")
		}
		must(t, c.Keep(t.Context(), "n2"))
		for _, bad := range []error{c.Rewind(t.Context(), "n2"), c.Keep(t.Context(), "n9"), c.Rewind(t.Context(), "n9")} {
			if bad == nil {
				t.Error("a node that lives was rewound, or one that is not there, and no error")
			}
		}
		for _, later := range []string{"later", "later still"} {
			must(t, put(c, "n2", "k", later, true))
			must(t, put(c, "n2", later, later, true))
			must(t, c.Kill(t.Context(), "n2"))
			must(t, c.Rewind(t.Context(), "n2"))
			must(t, c.Restart(t.Context(), "n2"))
			for key, want := range map[string]string{"k": "then", "unsynced": "", later: ""} {
				if v, err := get(c, "n2", key); err != nil || v != want {
					t.Errorf("%s is %q on the disk of the past, %v; want %q", key, v, err, want)
				}
			}
		}
		must(t, put(c, "n2", "k", "now", true))
		must(t, c.Keep(t.Context(), "n2")) // in the place of the image before
		must(t, c.Kill(t.Context(), "n2"))
		must(t, c.Wipe(t.Context(), "n2"))
		must(t, c.Rewind(t.Context(), "n2"))
		must(t, c.Restart(t.Context(), "n2"))
		if v, err := get(c, "n2", "k"); err != nil || v != "now" {
			t.Errorf("the newest image shows %q, %v", v, err)
		}
		must(t, c.Stop(t.Context()))
	})
}
