// Package suite assembles a run from names and numbers: it alone knows which workloads,
// nemeses and clusters there are.
//
// The command line and the Ginkgo suites both fill in [Knobs] and call [Run]. A run is
// then the same wherever it was started, and [Knobs.Command] is the command line that
// does it again. The tables of names are ordinary functions; nothing registers itself.
package suite
