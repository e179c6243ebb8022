package suite

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/nemesis"
	"cartwheel/nemesis/schedule"
	"cartwheel/workloads/cart"
	"cartwheel/workloads/counter"
	"cartwheel/workloads/register"
	"cartwheel/workloads/session"
)

// entry is a thing that can be asked for by name.
type entry[T any] struct {
	name string
	make func() T
}

func workloads() []entry[harness.Workload] {
	return []entry[harness.Workload]{
		{"cart", cart.Workload},
		{"set", cart.Set},
		{"set-lww", cart.LastSet},
		{"set-lww-locked", cart.LockedSet},
		{"cart-hints", cart.HintsAlone},
		{"cart-late-hints", cart.LateHints},
		{"cart-routed", cart.Routed},
		{"cart-checked", cart.Checked},
		{"cart-full", cart.LittleRoom},
		{"cart-deleted", cart.Deleted},
		{"cart-deleted-full", cart.DeletedUnhinted},
		{"cart-deleted-late", cart.DeletedLate},
		{"cart-lww", cart.LastWriteWins},
		{"cart-lww-held", cart.LastWriteHeld},
		{"counter", counter.Workload},
		{"counter-lww", counter.LastWriteWins},
		{"register", register.Workload},
		{"register-owners", register.Owners},
		{"register-one", register.One},
		{"register-mended", register.Mended},
		{"register-lww", register.LastWrite},
		{"register-weak", register.Weak},
		{"session", session.Workload},
		{"session-mixed", session.Mixed},
		{"session-repeated", session.Repeated},
		{"session-weak", session.Weak},
		{"mended", session.Mended},
	}
}

// nemeses have a rhythm, and are limited to the names, if there are any: see their Names.
func nemeses(t schedule.Timing, only ...string) []entry[harness.Nemesis] {
	return []entry[harness.Nemesis]{
		{"none", func() harness.Nemesis { return nemesis.None{} }},
		{nemesis.PartitionKind, func() harness.Nemesis { return &nemesis.Partition{Names: only, Timing: t} }},
		{nemesis.PauseKind, func() harness.Nemesis { return &nemesis.Pause{Names: only, Timing: t} }},
		{nemesis.KillKind, func() harness.Nemesis { return &nemesis.Kill{Names: only, Timing: t} }},
		{nemesis.PacketKind, func() harness.Nemesis { return &nemesis.Packet{Names: only, Timing: t} }},
		{nemesis.ClockKind, func() harness.Nemesis { return &nemesis.Clock{Names: only, Timing: t} }},
		{nemesis.DiskKind, func() harness.Nemesis { return &nemesis.Disk{Names: only, Timing: t} }},
		{nemesis.MembershipKind, func() harness.Nemesis { return &nemesis.Membership{Names: only, Timing: t} }},
	}
}

// Workloads lists the names that Knobs.Workload may have.
func Workloads() []string { return names(workloads()) }

// Nemeses lists the kinds that Knobs.Nemesis is made of; AllNemeses stands for all of them.
func Nemeses() []string { return names(nemeses(schedule.Timing{})) }

// broken are the self-tests: what they ask of the store it does not promise, and they must be found invalid.
var broken = []string{"cart-lww", "set-lww", "set-lww-locked", "counter-lww", "register-weak", "session-weak"}

// Sound lists the workloads that a correct store passes.
func Sound() []string {
	return slices.DeleteFunc(Workloads(), func(name string) bool { return slices.Contains(broken, name) })
}

// Workload finds a workload by its name.
func Workload(name string) (harness.Workload, error) {
	return find("workload", name, workloads())
}

// Gaps lists what Knobs.Gaps may be, the default first.
func Gaps() []string { return schedule.Gaps() }

// AllNemeses stands for all that inject faults and that the cluster and its target can have.
const AllNemeses = "all"

// Nemesis finds the nemeses of a list that commas separate, and composes them. A kind may
// be followed by names of its faults, as in "partition=halves+bridge,kill=coordinator".
func Nemesis(list string) (harness.Nemesis, error) { return paced(list, schedule.Timing{}) }

// paced is [Nemesis] in a rhythm of its own.
func paced(list string, t schedule.Timing) (harness.Nemesis, error) {
	if list == AllNemeses {
		var parts []harness.Nemesis
		for _, n := range nemeses(t)[1:] { // the first is none
			parts = append(parts, n.make())
		}
		return nemesis.Possible(parts...), nil
	}
	var parts []harness.Nemesis
	seen := make(map[string]bool)
	for name, faults := range asked(list) {
		if name == AllNemeses {
			return nil, fmt.Errorf("%w: nemesis %q: %q stands by itself; it is every kind that the cluster can have", ErrKnobs, list, AllNemeses)
		}
		n, err := find("nemesis", name, nemeses(t, faults...))
		if err != nil {
			return nil, err
		}
		if faults != nil && (name == "none" || slices.Contains(faults, "")) {
			return nil, fmt.Errorf("%w: nemesis %q: which of its faults?", ErrKnobs, name)
		}
		if seen[name] {
			return nil, fmt.Errorf("%w: nemesis %q is named twice", ErrKnobs, name)
		}
		seen[name] = true
		if name != "none" {
			parts = append(parts, n)
		}
	}
	if len(parts) == 0 {
		return nemesis.None{}, nil
	}
	return nemesis.Compose(parts...), nil
}

// asks reports whether a kind is on a list of nemeses.
func asks(list, kind string) bool {
	for name := range asked(list) {
		if name == kind {
			return true
		}
	}
	return false
}

// asked yields the kinds on a list of nemeses, each with the names that it is limited to; nil: it is not limited.
func asked(list string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for part := range strings.SplitSeq(list, ",") {
			name, which, limited := strings.Cut(strings.TrimSpace(part), "=")
			var faults []string
			if limited {
				faults = strings.Split(which, "+")
			}
			if !yield(name, faults) {
				return
			}
		}
	}
}

func names[T any](table []entry[T]) []string {
	out := make([]string, len(table))
	for i, e := range table {
		out[i] = e.name
	}
	return out
}

func find[T any](what, name string, table []entry[T]) (T, error) {
	for _, e := range table {
		if e.name == name {
			return e.make(), nil
		}
	}
	var none T
	known := names(table)
	if what == "nemesis" {
		known = append(known, AllNemeses)
	}
	return none, fmt.Errorf("%w: there is no %s %q, only %s", ErrKnobs, what, name, strings.Join(known, ", "))
}
