// Package mutation plants bugs in the store and measures whether the harness finds them.
//
// A [Mutant] is data: a small edit of a source file, the mechanism in a sentence, and
// the promise: which checker reports which kind of anomaly, under which workload and
// nemesis. The store itself carries no switches for tests; [Apply] writes the edited
// file aside and the build takes it in through an overlay. An edit whose text is not
// found exactly once is stale and an error, never skipped.
//
// [Run] tries each mutant with one seed after the other until the named checker reports
// the named kind: then it is killed. A crash, a time-out or an unknown verdict kills
// nothing, and neither does another checker. The unmutated store goes through every run
// that a mutant went through, and must stay valid: a harness that cries wolf kills all
// mutants.
//
// The package knows no cluster: who calls Run says how one trial is done.
package mutation
