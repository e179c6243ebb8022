package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the longest latency told apart from longer ones.
const latencyMax = time.Minute

// An Op is one request of one client. A client makes one at a time; n counts its requests from 0.
type Op func(ctx context.Context, client, n int) error

// A Load is what a cluster did.
type Load struct {
	Done    int           // requests that succeeded
	Failed  int           // requests that did not
	Err     error         // of one that did not
	Elapsed time.Duration // from the first request to the last answer, over all that were added
	// Latencies of requests that succeeded, in microseconds.
	Latencies *hdrhistogram.Histogram
}

// Rate is in successful requests a second.
func (l Load) Rate() float64 { return float64(l.Done) / l.Elapsed.Seconds() }

// Quantile is the latency that q percent of the requests did not exceed.
func (l Load) Quantile(q float64) time.Duration {
	return time.Duration(l.Latencies.ValueAtPercentile(q)) * time.Microsecond
}

// Closed lets each client make requests one after another for a time.
func Closed(ctx context.Context, clients int, d time.Duration, op Op) Load {
	begin := time.Now()
	return drive(ctx, clients, begin, op, func(_, _ int) (time.Time, bool) {
		now := time.Now()
		return now, now.Sub(begin) < d
	})
}

// Open makes rate requests a second, which the clients take in turn. A latency counts from the
// instant at which a request was due, not from when its client came to it, so a cluster that
// stalls is charged for all requests that it kept waiting: no coordinated omission.
func Open(ctx context.Context, clients int, d time.Duration, rate float64, op Op) Load {
	begin := time.Now()
	return drive(ctx, clients, begin, op, func(client, n int) (time.Time, bool) {
		due := time.Duration(float64(n*clients+client) / rate * float64(time.Second))
		return begin.Add(due), due < d
	})
}

// OpenEachSecond is Open, second after second, and returns all of them as one and the median second's 99.9th percentile as well: a
// disk that stands still once tells on that of a whole load, whatever the load, and on one second here.
func OpenEachSecond(ctx context.Context, clients int, d time.Duration, rate float64, op Op) (all Load, median time.Duration) {
	all = newLoad()
	var worst []time.Duration
	for range max(1, d/time.Second) {
		l := Open(ctx, clients, min(d, time.Second), rate, op)
		all.add(l)
		worst = append(worst, l.Quantile(99.9))
	}
	slices.Sort(worst)
	return all, worst[len(worst)/2]
}

func newLoad() Load { return Load{Latencies: hdrhistogram.New(1, latencyMax.Microseconds(), 3)} }

// add counts what another load, which came before or after, has done, too.
func (l *Load) add(other Load) {
	l.Elapsed += other.Elapsed
	l.Done += other.Done
	l.Failed += other.Failed
	l.Latencies.Merge(other.Latencies)
	if other.Err != nil {
		l.Err = other.Err
	}
}

// drive runs the clients; next says when a client's n-th request is due, and false after the last.
func drive(ctx context.Context, clients int, begin time.Time, op Op, next func(client, n int) (time.Time, bool)) Load {
	loads := make([]Load, clients)
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			l := &loads[client]
			*l = newLoad()
			for n := 0; ctx.Err() == nil; n++ {
				due, more := next(client, n)
				if !more {
					return
				}
				time.Sleep(time.Until(due))
				if err := op(ctx, client, n); err != nil {
					l.Failed++
					l.Err = fmt.Errorf("client %d, request %d: %w", client, n, err)
					continue
				}
				l.Done++
				// Never fails: the value is within the histogram's range.
				_ = l.Latencies.RecordValue(min(max(time.Since(due), time.Microsecond), latencyMax).Microseconds())
			}
		})
	}
	wg.Wait()
	sum := newLoad()
	for _, l := range loads { // side by side: they have no time of their own
		sum.add(l)
	}
	sum.Elapsed = time.Since(begin)
	return sum
}
