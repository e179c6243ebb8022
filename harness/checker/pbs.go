package checker

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"cartwheel/harness"
)

const (
	delaySteps    = 8                  // a power of two of microseconds is divided into so many
	delayBuckets  = 32 * delaySteps    // up to 36 minutes
	answersMax    = 16                 // replicas that answer a request and are told apart
	pbsTrials     = 10_000             // standard error of a point of the curve: at most 0.5 %
	pbsSeed       = 0x9e3779b97f4a7c15 // any: the same history gives the same curve
	pbsRepliesMin = 100                // of gets, and of puts: fewer say little of how long they take
)

// delays are the times that replicas took to answer one sort of request. A request is over
// with its quorum, so the slower replicas were not waited for: of them it is known only that
// they took longer than the last one that was.
type delays struct {
	took    [delayBuckets]int // answers
	over    [delayBuckets]int // requests, by their last answer
	others  [delayBuckets]int // answers to those
	quorums [answersMax]int   // requests, by how many answers they took
	replies int
}

// A service is how long replicas took to serve a history's gets and writes.
type service struct{ reads, writes delays }

// add takes note of a completion, where the store tells who answered.
func (s *service) add(op *harness.Op) {
	switch {
	case op.Meta == nil:
	case op.F == harness.Get:
		s.reads.add(op.Meta.Replies)
	default:
		s.writes.add(op.Meta.Replies)
	}
}

func (s *service) merge(o *service) {
	s.reads.merge(&o.reads)
	s.writes.merge(&o.writes)
}

// add takes note of who answered a request.
func (d *delays) add(replies []harness.Reply) {
	n, last := 0, time.Duration(0)
	for _, r := range replies {
		switch r.State {
		case "ok", "stale", "notfound", "repaired":
			if r.RTT > 0 {
				n++
				last = max(last, r.RTT)
				d.took[delayBucket(r.RTT)]++
			}
		}
	}
	if n > 0 {
		d.over[delayBucket(last)]++
		d.others[delayBucket(last)] += n
		d.quorums[min(n, answersMax-1)]++
		d.replies += n
	}
}

func (d *delays) merge(o *delays) {
	for i := range d.took {
		d.took[i] += o.took[i]
		d.over[i] += o.over[i]
		d.others[i] += o.others[i]
	}
	for i := range d.quorums {
		d.quorums[i] += o.quorums[i]
	}
	d.replies += o.replies
}

// quorum is how many answers most requests took.
func (d *delays) quorum() int {
	most := 0
	for n, requests := range d.quorums {
		if requests > d.quorums[most] {
			most = n
		}
	}
	return most
}

func delayBucket(d time.Duration) int {
	us := float64(d) / float64(time.Microsecond)
	return min(max(0, int(math.Log2(max(us, 1))*delaySteps)), delayBuckets-1)
}

// delayOf is the middle of each bucket.
var delayOf = func() (middle [delayBuckets]time.Duration) {
	for i := range middle {
		middle[i] = time.Duration(math.Exp2((float64(i)+0.5)/delaySteps) * float64(time.Microsecond))
	}
	return middle
}()

// distribution is the share of replicas that have answered within each bucket, had all
// n been waited for: the estimate of Kaplan and Meier (JASA 1958), which counts a replica
// that was not waited for among those who may still answer until then, and not after.
// What is beyond the longest wait is taken to answer then.
func (d *delays) distribution(n int) (cumulative [delayBuckets]float64) {
	risk := 0
	for i := range d.took {
		risk += d.took[i] + max(0, n*d.over[i]-d.others[i])
	}
	left, last := 1.0, 0
	for i := range d.took {
		if d.took[i] > 0 {
			left *= 1 - float64(d.took[i])/float64(risk)
			last = i
		}
		cumulative[i] = 1 - left
		risk -= d.took[i] + max(0, n*d.over[i]-d.others[i])
	}
	for i := last; i < delayBuckets; i++ {
		cumulative[i] = 1
	}
	return cumulative
}

// A pbs predicts t-visibility from how long replicas take to answer: the WARS model of
// Bailis and others (PBS, VLDB 2012), by Monte Carlo. A message is taken to need half of
// the time there and half of it back, and replicas are taken to be alike and to be up: what a
// measured curve lacks of the predicted one is not explained by latency.
type pbs struct {
	n, r, w int
	visible []time.Duration // of each trial: when the write was visible, after its acknowledgement; sorted
}

// predict returns nil where too little is known.
func predict(s *service, n int) *pbs {
	p := &pbs{n: n, r: s.reads.quorum(), w: s.writes.quorum()}
	if s.reads.replies < pbsRepliesMin || s.writes.replies < pbsRepliesMin || p.r > n || p.w > n {
		return nil
	}
	rs, ws := s.reads.distribution(n), s.writes.distribution(n)
	rnd := rand.New(rand.NewPCG(pbsSeed, 0))
	draw := func(from *[delayBuckets]float64) time.Duration {
		at := rnd.Float64()
		return delayOf[sort.Search(delayBuckets-1, func(i int) bool { return from[i] > at })]
	}
	type replica struct{ write, read time.Duration }
	all := make([]replica, n)
	p.visible = make([]time.Duration, 0, pbsTrials)
	for range pbsTrials {
		for i := range all {
			all[i] = replica{draw(&ws), draw(&rs)}
		}
		slices.SortFunc(all, func(a, b replica) int { return int(a.write - b.write) })
		acked := all[p.w-1].write
		slices.SortFunc(all, func(a, b replica) int { return int(a.read - b.read) })
		visible := time.Duration(math.MaxInt64)
		for _, a := range all[:p.r] {
			visible = min(visible, a.write/2-a.read/2-acked)
		}
		p.visible = append(p.visible, max(0, visible))
	}
	slices.Sort(p.visible)
	return p
}

// after is the chance that a get called so long after a write's acknowledgement sees it.
func (p *pbs) after(t time.Duration) float64 {
	n := sort.Search(len(p.visible), func(i int) bool { return p.visible[i] > t })
	return float64(n) / float64(len(p.visible))
}

// copiesOf is how many replicas most keys have, by the final reads; 0 if there are none.
func (x *index) copiesOf() int {
	var keys [bits.UintSize]int
	for _, k := range x.keys {
		if n := len(k.last()); n < len(keys) {
			keys[n]++
		}
	}
	most := 0
	for n := 1; n < len(keys); n++ {
		if keys[n] > keys[most] || most == 0 && keys[n] > 0 {
			most = n
		}
	}
	return most
}
