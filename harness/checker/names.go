package checker

import (
	"fmt"
	"strings"

	"cartwheel/harness"
)

// registry lists the checkers that can be asked for by name.
var registry = map[string]func() harness.Checker{
	"sanity":       Sanity,
	"lost-writes":  LostWrites,
	"elements":     Elements,
	"convergence":  Convergence,
	"siblings":     Siblings,
	"availability": Availability,
	"recency":      Recency,
	"sessions":     Sessions,
	"causal":       Causal,
	"mvr":          MVR,
	"copies":       Copies,
	"audits":       Audits,
	"contexts":     Contexts,
	"linearizable": func() harness.Checker { return Linearizable(Budget{}) },
	"zones":        Zones,
	"staleness":    Staleness,
	"counter":      Counter,
	"tally":        Tally,
	"register":     Register,
	"set":          Set,
	"list-append":  List,
}

// Names lists the checkers that [Named] knows, sorted.
func Names() []string { return sortedKeys(registry) }

// Named returns a checker with its default budget and no claims about the store. The
// error for an unknown name lists those there are.
func Named(name string) (harness.Checker, error) {
	build, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("no checker %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return build(), nil
}
