package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
)

// An attempt is one put or delete of the random test and what its client knew.
type attempt struct {
	value   string
	deletes bool     // it has no value of its own
	past    []string // the values that its context covers
	outcome store.Outcome
}

// Clients write and delete at random nodes while links are cut and nodes lose power, at random. In
// the end all replicas are equal, and every acknowledged value is there or was replaced or deleted by
// a client that had seen it; nothing that was sworn not to be written is there, and nothing that an
// acknowledged put or delete has removed has come back. The hash trees are those of the records.
func TestNoAcknowledgedWriteIsLostUnderRandomFaults(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				keys := []store.Key{"cart:1", "cart:2", "cart:3"}
				var mu sync.Mutex
				attempts := map[store.Key][]attempt{}
				var clients sync.WaitGroup
				for i := range 4 {
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					mode := store.Mode(i % 2)
					clients.Go(func() {
						for n := range 60 {
							time.Sleep(time.Duration(r.IntN(int(time.Second))))
							key, value := keys[r.IntN(len(keys))], fmt.Sprintf("%d.%d", i, n)
							a := c.writeOnce(r, key, value, mode)
							mu.Lock()
							attempts[key] = append(attempts[key], a)
							mu.Unlock()
						}
					})
				}
				c.breakThings(rand.New(rand.NewPCG(seed, 99)))
				clients.Wait()
				c.net.split()
				c.settle()
				deletes := 0
				for _, key := range keys {
					c.judge(key, attempts[key])
					for _, a := range attempts[key] {
						if a.deletes && a.outcome == store.OutcomeOK {
							deletes++
						}
					}
				}
				if deletes == 0 {
					t.Error("no delete was acknowledged, so nothing was tested")
				}
				c.checkTrees()
			})
		})
	}
}

// writeOnce puts a value somewhere, half the time on top of what a read shows.
func (c *cluster) writeOnce(r *rand.Rand, key store.Key, value string, mode store.Mode) attempt {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+r.IntN(3000))*time.Millisecond)
	defer cancel()
	c.mu.Lock()
	cl := c.client(five[r.IntN(5)])
	c.mu.Unlock()
	a := attempt{value: value}
	var past store.Context
	if r.IntN(2) == 0 {
		if res, err := cl.Get(ctx, key, store.ReadOptions{Mode: mode, Repair: store.RepairMode(r.IntN(3))}); err == nil {
			past, a.past = res.Context, values(res.Siblings)
		}
	}
	var err error
	if a.deletes = past != nil && r.IntN(3) == 0; a.deletes {
		_, err = cl.Delete(ctx, key, past, store.WriteOptions{Mode: mode})
	} else {
		_, err = cl.Put(ctx, key, []byte(value), past, store.WriteOptions{Mode: mode})
	}
	a.outcome = client.Outcome(err)
	return a
}

// checkTrees rebuilds the hash trees of every node from its records; after power cuts too they are the same.
func (c *cluster) checkTrees() {
	c.t.Helper()
	for _, id := range five {
		report, err := c.admin(id).Trees(context.Background(), true)
		if err != nil || report.Check.Drift() > 0 || report.Check.Damaged > 0 {
			c.t.Errorf("%s: trees %+v, %v", id, report.Check, err)
		}
	}
}

// breakThings splits the network, cuts power and heals, for about half a minute.
func (c *cluster) breakThings(r *rand.Rand) {
	for range 10 {
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		switch r.IntN(3) {
		case 0:
			nodes := slices.Clone(five)
			r.Shuffle(5, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
			at := 1 + r.IntN(4)
			c.net.split(nodes[:at], nodes[at:])
		case 1:
			c.net.split()
		case 2:
			for _, id := range five {
				if r.IntN(2) == 0 {
					c.crash(id)
					time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
					c.start(id)
				}
			}
		}
	}
}

func (c *cluster) judge(key store.Key, attempts []attempt) {
	c.t.Helper()
	final := values(c.copies(key).Siblings)
	acked := 0
	for _, a := range attempts {
		replaced := slices.ContainsFunc(attempts, func(b attempt) bool {
			return b.outcome != store.OutcomeNotWritten && slices.Contains(b.past, a.value)
		})
		if a.outcome == store.OutcomeOK {
			for _, gone := range a.past {
				if gone != "†" && slices.Contains(final, gone) {
					c.t.Errorf("%s: %s was removed by %+v and is back; replicas hold %q", key, gone, a, final)
				}
			}
		}
		switch {
		case a.deletes:
		case a.outcome == store.OutcomeOK:
			acked++
			if !slices.Contains(final, a.value) && !replaced {
				c.t.Errorf("%s: %s was acknowledged and is lost; replicas hold %q", key, a.value, final)
			}
		case a.outcome == store.OutcomeNotWritten && (slices.Contains(final, a.value) || replaced):
			c.t.Errorf("%s: %s was sworn not to be written and was seen", key, a.value)
		}
	}
	c.t.Logf("%s: %d attempts, %d acknowledged, %d live", key, len(attempts), acked, len(final))
	if acked == 0 {
		c.t.Errorf("%s: no write was acknowledged, so nothing was tested", key)
	}
}
