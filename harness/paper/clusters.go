package paper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/history"
	"cartwheel/harness/runner"
	"cartwheel/harness/suite"
	"cartwheel/harness/target/cartwheel"
)

// A trial is a load on a simulated cluster of five nodes.
type trial struct {
	clients int
	nemesis string
	read    harness.ReadOptions
	write   harness.WriteOptions
	routed  bool          // clients find a key's nodes by themselves
	rate    float64       // operations a second of each client
	time    time.Duration // of the load
}

// A sample is what one operation saw.
type sample struct {
	put      bool
	ok       bool
	latency  time.Duration // virtual, as its client saw it
	siblings int           // live ones that a get showed
}

// play loads the cluster with carts and returns what its clients saw.
func (t trial) play(ctx context.Context, seed uint64) (out []sample, err error) {
	w, err := suite.Workload("cart")
	if err != nil {
		return nil, err
	}
	faults, err := suite.Nemesis(t.nemesis)
	if err != nil {
		return nil, err
	}
	w.Read, w.Write, w.Checkers, w.Events = t.read, t.write, nil, nil
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, t.read, t.write)
	}
	target := cartwheel.Seeded(sim.Names(seed))
	if t.routed {
		target = target.Routed()
	}
	fresh := func() (*sim.Cluster, error) {
		return sim.NewStore(sim.Options{Seed: seed}, cartwheel.Configure(w.Store))
	}
	rec, err := sim.Play(ctx, fresh, runner.Options{
		Seed: seed, Workload: w, Nemesis: faults, Target: target, Concurrency: t.clients, Time: t.time, Rate: t.rate * float64(t.clients),
	})
	switch {
	case err != nil:
		return nil, err
	case rec.Trouble != nil:
		return nil, rec.Trouble
	}
	return samples(rec.History), nil
}

// samples reads a history. An operation that never ended did not succeed.
func samples(h []harness.Op) (out []sample) {
	for _, p := range history.Pairs(h) {
		inv := h[p.Invoke]
		if inv.Process < 0 || inv.Phase != harness.Load {
			continue
		}
		s := sample{put: inv.F != harness.Get}
		if p.Completion >= 0 {
			end := h[p.Completion]
			s.ok, s.latency = end.Kind == harness.OK, end.Time-inv.Time
			for _, v := range end.Siblings {
				if !v.Tombstone {
					s.siblings++
				}
			}
		}
		out = append(out, s)
	}
	return out
}

// all plays a trial with several seeds.
func (t trial) all(ctx context.Context, o Options) (out []sample, err error) {
	for run := range o.runs(3) {
		more, err := t.play(ctx, o.Seed+uint64(run))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// succeeded returns those operations of one sort that did, the fastest first.
func succeeded(all []sample, put bool) (out []sample) {
	for _, s := range all {
		if s.ok && s.put == put {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b sample) int { return cmp.Compare(a.latency, b.latency) })
	return out
}

// mean and quantile are of latencies, in milliseconds.
func mean(sorted []sample) (ms float64) {
	for _, s := range sorted {
		ms += s.latency.Seconds() * 1000 / float64(len(sorted))
	}
	return ms
}

func quantile(sorted []sample, q float64) (ms float64) {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].latency.Seconds() * 1000
}

// quorums of (N, R, W) = (3, 2, 2), the paper's usual ones.
func usual(strict bool) (harness.ReadOptions, harness.WriteOptions) {
	return harness.ReadOptions{R: 2, Strict: strict}, harness.WriteOptions{W: 2, Strict: strict}
}

// versions counts what reads show, first by the number of clients and then under faults with one client.
func versions(ctx context.Context, o Options) (r Result, err error) {
	t := Table{Title: "gets that showed so many versions", Head: []string{"clients", "faults", "gets", "1 or none", "2", "3", "4 and more"}}
	line := Series{Name: "no faults"}
	for _, c := range []struct {
		clients int
		nemesis string
	}{{1, "none"}, {2, "none"}, {4, "none"}, {8, "none"}, {16, "none"}, {32, "none"}, {1, "partition,pause,kill"}} {
		read, write := usual(false)
		all, err := trial{clients: c.clients, nemesis: c.nemesis, read: read, write: write, routed: true, rate: 5, time: 40 * time.Second}.all(ctx, o)
		if err != nil {
			return r, err
		}
		gets := succeeded(all, false)
		var shown [4]float64
		for _, g := range gets {
			shown[min(max(g.siblings, 1), 4)-1] += 1 / float64(len(gets))
		}
		row := []string{fmt.Sprint(c.clients), c.nemesis, fmt.Sprint(len(gets))}
		for _, s := range shown {
			row = append(row, fmt.Sprintf("%.2f %%", 100*s))
		}
		t.Rows = append(t.Rows, row)
		name := fmt.Sprintf("versions_one_%d", c.clients)
		if c.nemesis != "none" {
			name += "_faults"
		} else {
			line.X, line.Y = append(line.X, float64(c.clients)), append(line.Y, 100*(1-shown[0]))
		}
		r.Numbers = append(r.Numbers, Number{name, 100 * shown[0], "%"})
	}
	r.Tables = []Table{t}
	r.Charts = []Chart{{Name: "versions", Title: "Gets that showed more than one version", X: "clients on five carts", Y: "of the gets, %", Logarithmic: true, Series: []Series{line}}}
	r.Remarks = []string{"All clients share five carts at a time, where a customer of the paper's has a cart alone: what is compared is what divergence grows with, not its level."}
	return r, nil
}

// routing lets servers and then clients find the nodes of a key.
func routing(ctx context.Context, o Options) (r Result, err error) {
	t := Table{
		Title: "latency in virtual milliseconds; a packet takes 0.5 to 5",
		Head:  []string{"coordination", "99.9th read", "99.9th write", "average read", "average write"},
	}
	read, write := usual(false)
	var values [2][4]float64
	for i, routed := range []bool{false, true} {
		all, err := trial{clients: 10, nemesis: "none", read: read, write: write, routed: routed, rate: 10, time: time.Minute}.all(ctx, o)
		if err != nil {
			return r, err
		}
		gets, puts := succeeded(all, false), succeeded(all, true)
		values[i] = [4]float64{quantile(gets, 0.999), quantile(puts, 0.999), mean(gets), mean(puts)}
		name := "servers"
		if routed {
			name = "clients"
		}
		row := []string{"by " + name}
		for j, v := range values[i] {
			row = append(row, fmt.Sprintf("%.2f", v))
			r.Numbers = append(r.Numbers, Number{"routing_" + name + "_" + [...]string{"p999_get", "p999_put", "mean_get", "mean_put"}[j], v, "ms"})
		}
		t.Rows = append(t.Rows, row)
	}
	ratio := []string{"servers / clients"}
	for j := range values[0] {
		ratio = append(ratio, fmt.Sprintf("%.2f", values[0][j]/values[1][j]))
	}
	t.Rows = append(t.Rows, ratio, []string{"the paper's ratio", "2.27", "2.25", "2.52", "2.12"})
	r.Tables = []Table{t}
	r.Remarks = []string{"By servers means here: any node is asked, and a put is forwarded by one that does not own the key. There is no load balancer in between, which is a hop of the paper's."}
	return r, nil
}

// strikes cut a node off, make one hang and kill up to two of five, each for a while, and some of it at the same time.
const strikes = "partition=isolate,pause=one,kill=minority"

// availability counts requests that succeed while nodes are cut off, hang and die.
func availability(ctx context.Context, o Options) (r Result, err error) {
	t := Table{
		Title: "requests that succeeded within 3 s, while nodes are cut off, hang and die",
		Head:  []string{"quorums", "clients", "requests", "succeeded", "reads", "writes", "99.9th percentile"},
	}
	for _, c := range []struct {
		name, quorums, clients string
		strict, routed         bool
		nemesis                string
	}{
		{"quiet", "sloppy, no faults", "route", false, true, "none"},
		{"sloppy", "sloppy", "route", false, true, strikes},
		{"strict", "strict", "route", true, true, strikes},
		{"bound", "sloppy", "know one node", false, false, strikes},
	} {
		read, write := usual(c.strict)
		all, err := trial{clients: 10, nemesis: c.nemesis, read: read, write: write, routed: c.routed, rate: 5, time: 90 * time.Second}.all(ctx, o)
		if err != nil {
			return r, err
		}
		gets, puts, writes := succeeded(all, false), succeeded(all, true), 0
		for _, s := range all {
			if s.put {
				writes++
			}
		}
		both := slices.Concat(gets, puts)
		slices.SortFunc(both, func(a, b sample) int { return cmp.Compare(a.latency, b.latency) })
		share := float64(len(both)) / float64(len(all))
		t.Rows = append(t.Rows, []string{
			c.quorums, c.clients, fmt.Sprint(len(all)), fmt.Sprintf("%.3f %%", 100*share), fmt.Sprintf("%.3f %%", 100*float64(len(gets))/float64(len(all)-writes)),
			fmt.Sprintf("%.3f %%", 100*float64(len(puts))/float64(writes)), fmt.Sprintf("%.0f ms", quantile(both, 0.999)),
		})
		r.Numbers = append(r.Numbers, Number{"available_" + c.name, 100 * share, "%"})
	}
	r.Tables = []Table{t}
	r.Remarks = []string{"Here something is broken most of the time; two years of the paper's were not like that. What is compared is how much sloppy quorums, and clients that go elsewhere, save."}
	return r, nil
}
