package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
)

// A Store is a target whose members can change, for a [Cluster]: it keeps no data. Its
// fields are the ways in which a real one can fail; they may be set before it is used.
type Store struct {
	Idle    bool             // it takes changes on and makes none
	Deaf    []harness.NodeID // they never hear of a change
	Endless bool             // data is moved for ever
	Refuse  int              // so many changes are refused first
	Moves   time.Duration    // how long data is moved after a change

	mu       sync.Mutex
	members  []harness.NodeID                    // sorted; nil: those that the cluster began with
	before   map[harness.NodeID][]harness.NodeID // what the deaf still believe
	lives    map[harness.NodeID]int              // how often a machine's node was replaced by one on the same machine
	replaced []harness.NodeID
	changed  time.Time
}

// Name is "fake".
func (s *Store) Name() string { return "fake" }

// Open refuses: there is nothing to read or write.
func (s *Store) Open(context.Context, harness.Cluster, harness.NodeID) (harness.Client, error) {
	return nil, errors.New("fake: the store keeps nothing")
}

// Ready is content with every node.
func (s *Store) Ready(context.Context, harness.Cluster, harness.NodeID) error { return nil }

// Join implements [harness.MemberChanger]. A node that was replaced does not get its place back until it has lost its disk.
func (s *Store) Join(ctx context.Context, c harness.Cluster, n harness.NodeID) error {
	if f, ok := c.(*Cluster); ok && s.former(n) {
		if f.wipedSince(n) {
			s.forget(n)
			return s.change(ctx, c, "", n)
		}
		return fmt.Errorf("fake: join %s: it was replaced, and has not lost its disk", n)
	}
	return s.change(ctx, c, "", n)
}

// Leave implements [harness.MemberChanger].
func (s *Store) Leave(ctx context.Context, c harness.Cluster, n harness.NodeID) error {
	return s.change(ctx, c, n, "")
}

// Replace implements [harness.MemberChanger]. The node that is gone must be dead, or have lost its disk since: that
// is what the change is for.
func (s *Store) Replace(ctx context.Context, c harness.Cluster, gone, by harness.NodeID) error {
	keeps := false // its disk
	if f, ok := c.(*Cluster); ok && !f.wipedSince(gone) {
		keeps = true
		if alive, err := f.Alive(ctx, gone); err != nil || alive {
			return fmt.Errorf("fake: replace %s: it lives, and has not lost its disk", gone)
		}
	}
	err := s.change(ctx, c, gone, by)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && keeps {
		s.replaced = append(s.replaced, gone)
	}
	return err
}

func (s *Store) forget(n harness.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced = slices.DeleteFunc(s.replaced, func(m harness.NodeID) bool { return m == n })
}

func (s *Store) former(n harness.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.replaced, n)
}

func (s *Store) change(ctx context.Context, c harness.Cluster, out, in harness.NodeID) error {
	if in != "" {
		if k, ok := c.(harness.Killer); ok {
			if alive, err := k.Alive(ctx, in); err != nil || !alive {
				return fmt.Errorf("fake: %s cannot be a member: it is dead, %w", in, err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init(c)
	if s.Refuse > 0 {
		s.Refuse--
		return errors.New("fake: no node that could be asked")
	}
	if out == in && !s.Idle {
		s.lives[in]++
		s.changed = time.Now()
	}
	next := slices.DeleteFunc(slices.Clone(s.members), func(m harness.NodeID) bool { return m == out || m == in })
	if in != "" {
		next = append(next, in)
	}
	slices.Sort(next)
	if s.Idle || slices.Equal(next, s.members) {
		return nil
	}
	for _, n := range s.Deaf {
		if s.before[n] == nil {
			s.before[n] = s.members
		}
	}
	s.members, s.changed = next, time.Now()
	return nil
}

func (s *Store) init(c harness.Cluster) {
	if s.members == nil {
		s.members, s.before = slices.Sorted(slices.Values(c.Nodes())), map[harness.NodeID][]harness.NodeID{}
		s.lives = map[harness.NodeID]int{}
	}
}

// View implements [harness.MemberChanger].
func (s *Store) View(ctx context.Context, c harness.Cluster, n harness.NodeID) (harness.MemberView, error) {
	if p, ok := c.(*Cluster); ok && !p.Send(n, n) {
		return harness.MemberView{}, fmt.Errorf("fake: %s does not answer", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init(c)
	v := harness.MemberView{Members: s.members, Settled: !s.Endless && (s.changed.IsZero() || time.Since(s.changed) >= s.Moves)}
	if old := s.before[n]; old != nil {
		v.Members = old
	}
	for _, m := range v.Members {
		v.Nodes = append(v.Nodes, harness.Life(m, s.lives[m]))
	}
	return v, ctx.Err()
}
