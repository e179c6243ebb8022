package checker

import (
	"fmt"
	"strings"

	"cartwheel/harness"
)

// A Model says what a history from anywhere should look like, and who judges it. What
// its lines must say is told in docs/HISTORY.md.
type Model struct {
	Name     string
	Doc      string // one sentence
	Unique   bool   // no two puts of a key may write the same value
	Checkers func() []harness.Checker
}

func models() []Model {
	one := func(c func() harness.Checker) func() []harness.Checker {
		return func() []harness.Checker { return []harness.Checker{c()} }
	}
	return []Model{
		{Name: "register", Doc: "keys are linearizable registers; values may repeat", Checkers: one(Register)},
		{Name: "cas-register", Doc: "the same with compare-and-set", Checkers: one(Register)},
		{Name: "2-atomic-register", Doc: "keys are registers whose reads show the newest value or the one before; values unique", Unique: true, Checkers: func() []harness.Checker {
			return Together(Under(Claims{Mode: Strict}, Staleness(), Sanity())...)
		}},
		{Name: "set", Doc: "elements are added and sets read; an acknowledged element is never lost", Checkers: one(Set)},
		{Name: "counter", Doc: "numbers are added and counts read; a count holds what was acknowledged before and nothing that was not attempted", Checkers: one(Tally)},
		{Name: "list-append", Doc: "elements are appended and lists read; every list is a prefix of one order that respects real time", Checkers: one(List)},
		{Name: "mvr", Doc: "keys are multi-value registers: siblings with contexts, as a Dynamo shows them", Unique: true, Checkers: func() []harness.Checker {
			return Together(Sanity(), LostWrites(), Convergence(), Recency(), Sessions(), Causal(), MVR(), Siblings())
		}},
		{Name: "cart", Doc: "multi-value registers that hold items; an acknowledged item is never lost", Unique: true, Checkers: func() []harness.Checker {
			return Together(Elements(), Sanity(), LostWrites(), Convergence(), Siblings())
		}},
	}
}

// Models lists what [ModelNamed] knows.
func Models() []Model { return models() }

// ModelNamed finds a model. The error for an unknown name lists those there are.
func ModelNamed(name string) (Model, error) {
	var names []string
	for _, m := range models() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("no model %q: there are %s", name, strings.Join(names, ", "))
}
