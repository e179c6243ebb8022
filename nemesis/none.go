package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"cartwheel/harness"
)

// None injects nothing. Runs with it are the control of all others.
type None struct{}

// Name returns "none".
func (None) Name() string { return "none" }

// Check is content with every cluster.
func (None) Check(harness.Cluster) error { return nil }

// Plan plans nothing.
func (None) Plan(*rand.Rand, []harness.NodeID, time.Duration) []harness.Fault { return nil }

// Inject refuses: there is no fault that None could have planned.
func (None) Inject(_ context.Context, _ harness.Cluster, f harness.Fault, _ func() time.Duration) (harness.Evidence, error) {
	return harness.Evidence{}, unknownKind(f)
}

// Heal refuses like Inject.
func (None) Heal(_ context.Context, _ harness.Cluster, f harness.Fault, _ *harness.Evidence, _ func() time.Duration) error {
	return unknownKind(f)
}

func unknownKind(f harness.Fault) error {
	return fmt.Errorf("fault %s: no nemesis of this run makes faults of kind %q", f.ID, f.Kind)
}
