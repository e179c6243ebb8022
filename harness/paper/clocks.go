package paper

import (
	"context"
	"fmt"

	"cartwheel/store/version/ancestor"
)

// adds is how many items a client puts into the cart.
const adds = 20

// expected is the table of another simulation of the same rules: percent of the acknowledged adds that were lost, and most siblings.
var expected = map[ancestor.Rule][4]string{
	ancestor.Literal: {"29.5 / 1", "13.5 / 2", "44.0 / 3", "63.7 / 1"},
	ancestor.Raised:  {"37.1 / 1", "7.7 / 2", "14.2 / 7", "79.2 / 1"},
	ancestor.Shared:  {"0 / 9", "0 / 9", "0 / 38", "0 / 42"},
	ancestor.Dotted:  {"0 / 2", "0 / 2", "0 / 8", "0 / 8"},
}

var settings = [4]struct{ clients, coordinators int }{{2, 1}, {2, 3}, {8, 3}, {8, 1}}

// clocks plays carts without a fault under each rule, and then the paper's clock with its oldest pairs dropped.
func clocks(ctx context.Context, o Options) (r Result, err error) {
	play := func(e ancestor.Options) (sum ancestor.Outcome) {
		for run := range o.runs(50) {
			e.Rand = o.rand(run)
			sum = sum.Add(ancestor.Play(e))
		}
		return sum
	}
	lost := Table{Title: "percent of acknowledged adds lost / most siblings; in brackets: another simulation's", Head: []string{"rule"}}
	for _, s := range settings {
		lost.Head = append(lost.Head, fmt.Sprintf("%d clients, %d coordinators", s.clients, s.coordinators))
	}
	for _, rule := range ancestor.Rules {
		row := []string{rule.String()}
		for i, s := range settings {
			got := play(ancestor.Options{Rule: rule, Clients: s.clients, Coordinators: s.coordinators, Adds: adds})
			row = append(row, fmt.Sprintf("%.1f / %d (%s)", 100*got.LossRate(), got.Siblings, expected[rule][i]))
			r.Numbers = append(r.Numbers,
				Number{fmt.Sprintf("clocks_lost_%d_%d_%d", rule, s.clients, s.coordinators), 100 * got.LossRate(), "%"},
				Number{fmt.Sprintf("clocks_siblings_%d_%d_%d", rule, s.clients, s.coordinators), float64(got.Siblings), "1"})
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
		lost.Rows = append(lost.Rows, row)
	}
	cut := Table{
		Title: "the paper's clock, one client at a time, truncated: reads that show a version beside the one that has superseded it",
		Head:  []string{"nodes that coordinate", "whole clock", "10 pairs", "5 pairs", "3 pairs", "most siblings with 10 pairs"},
	}
	for _, nodes := range []int{3, 8, 12, 20} {
		row, most := []string{fmt.Sprint(nodes)}, 0
		for _, limit := range []int{0, 10, 5, 3} {
			got := play(ancestor.Options{Rule: ancestor.Literal, Clients: 1, Coordinators: nodes, Adds: 3 * adds, Limit: limit})
			row = append(row, percent(got.FalseRate()))
			if limit == 10 {
				most = got.Siblings
				r.Numbers = append(r.Numbers, Number{fmt.Sprintf("clocks_truncated_false_%d", nodes), 100 * got.FalseRate(), "%"})
			}
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
		cut.Rows = append(cut.Rows, append(row, fmt.Sprint(most)))
	}
	r.Tables = []Table{lost, cut}
	r.Remarks = []string{
		"No node fails and no message is lost: what is missing, the clocks have lost. docs/guide/dots.md says how.",
		"Truncation does no harm while fewer nodes coordinate a key than a clock has pairs. With more, nothing is lost, but what was superseded comes back.",
	}
	return r, nil
}
