package paper

import (
	"context"
	"fmt"
	"math"

	"cartwheel/store/ring/strategy"
)

// What a window of half an hour is made of. Popularity has a long tail; under high load more of the popular keys are in use at a time, which is
// how the paper explains its figure.
const (
	windows  = 48     // of 24 hours
	keysBusy = 16_000 // in use in a window at the highest load
	tail     = 1.6    // exponent of the popularity of keys (Pareto)
	loads    = 8      // steps from an eighth of the load to all of it
)

// imbalance counts the nodes that are off the mean load, window by window.
func imbalance(ctx context.Context, o Options) (r Result, err error) {
	t := Table{Title: fmt.Sprintf("nodes off the mean by more than 15 %%: mean of %d windows, %d nodes, N = %d", windows, ringNodes, ringReplicas), Head: []string{"load", "of the nodes"}}
	line := Series{Name: "owner sets, 1,024 partitions"}
	p, err := strategy.OwnerSets(ringNodes, ringReplicas, 1024)
	if err != nil {
		return r, err
	}
	for load := 1; load <= loads; load++ {
		sum := 0.0
		for window := range windows {
			rnd := o.rand(load<<16 | window)
			served := make([]float64, ringNodes)
			for range keysBusy * load / loads {
				requests := math.Pow(1-rnd.Float64(), -1/tail)
				for _, n := range p.Owners(rnd.Uint64()) {
					served[n] += requests
				}
			}
			sum += strategy.Imbalance(served, tolerance) / windows
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%d/%d", load, loads), percent(sum)})
		line.X, line.Y = append(line.X, float64(load)/loads), append(line.Y, 100*sum)
		if load == 1 || load == loads {
			r.Numbers = append(r.Numbers, Number{fmt.Sprintf("imbalance_load_%d", load), 100 * sum, "%"})
		}
	}
	r.Tables = []Table{t}
	r.Charts = []Chart{{Name: "imbalance", Title: "Nodes that are out of balance", X: "load, of the highest", Y: "of the nodes, %", Series: []Series{line}}}
	r.Remarks = []string{"How far it falls is what can be compared: the level follows from how many keys are popular, which the paper does not tell."}
	return r, nil
}
