package register

import (
	"context"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the register workload under the terms that make it linearizable.
func Workload() harness.Workload {
	return workload(checker.WriteBack, harness.Workload{
		Name:      "register",
		Doc:       "one writer a key, strict quorums, reads that write back first: linearizable",
		Read:      harness.ReadOptions{R: 2, Strict: true, Repair: "blocking"},
		Write:     harness.WriteOptions{W: 2, Strict: true},
		Generator: Generator,
		Replay:    Replay,
		Events:    []harness.Event{checker.Repaired(), unserved(), checker.CutOff()},
	})
}

// Owners returns the register in a bucket that demands two of a key's owners for every answer and
// every write, whoever else may stand in. Its requests say nothing and get it by default: two such
// quorums share an owner, as strict ones do.
func Owners() harness.Workload {
	return workload(checker.WriteBack, harness.Workload{
		Name:      "register-owners",
		Doc:       "one writer a key in a bucket with PR = PW = 2 and blocking repair: linearizable without being asked for",
		Generator: ownersGenerator,
		Replay:    Replay,
		Events:    []harness.Event{unserved()},
	})
}

// LastWrite returns the register in a bucket where the last write wins. Its one writer goes on from what it has seen, so that each
// put supersedes the one before by its context, and no stamp has to decide: clocks may be wrong.
func LastWrite() harness.Workload {
	return workload(checker.WriteBack, harness.Workload{
		Name:      "register-lww",
		Doc:       "one writer a key where the last write wins: linearizable, however wrong the clocks are",
		Read:      harness.ReadOptions{R: 2, Strict: true, Repair: "blocking"},
		Write:     harness.WriteOptions{W: 2, Strict: true},
		Generator: lastGenerator,
		Replay:    Replay,
		Events:    []harness.Event{checker.Repaired(), unserved()},
	})
}

// One returns the register with R = 1 and W = N (the paper's read engine, section 6): every owner
// alone answers for all that was acknowledged, so one that lacks something shows. Earlier keys are read
// as long as the run lasts, also by owners who came to have them later.
func One() harness.Workload {
	return workload(checker.WriteBack, harness.Workload{
		Name:      "register-one",
		Doc:       "one writer a key, reads of one owner, writes to all: linearizable, whichever owner is asked",
		Read:      harness.ReadOptions{R: 1, Strict: true, Repair: "blocking"},
		Write:     harness.WriteOptions{W: 3, Strict: true},
		Generator: oneGenerator,
		Replay:    Replay,
		Events:    []harness.Event{readLater()},
	})
}

// Mended returns the register on a store where nothing but reads repairs: an owner that has missed a write lacks it
// until the key is read, so that two others have to hold it. There are many keys, and earlier ones are read as long
// as the run lasts. What nobody reads stays as it is, so replicas are not compared at the end.
func Mended() harness.Workload {
	w := workload(checker.WriteBack, harness.Workload{
		Name:      "register-mended",
		Doc:       "one writer a key, strict quorums, and reads alone to repair: linearizable, whoever has missed what",
		Read:      harness.ReadOptions{R: 2, Strict: true, Repair: "blocking"},
		Write:     harness.WriteOptions{W: 2, Strict: true},
		Generator: manyGenerator,
		Replay:    Replay,
		Events:    []harness.Event{checker.Repaired(), readLater()},
	})
	w.Store = harness.StoreOptions{NoAntiEntropy: true, HintBytes: 1}
	w.Checkers = checker.Together(checker.Under(checker.Claims{Mode: checker.WriteBack},
		checker.Linearizable(checker.Budget{}), checker.Sanity(), checker.Audits(), checker.Recency(), checker.Availability(),
	)...)
	return w
}

// Weak returns the same on single replicas without repair: it loses nothing and
// converges, but it must be found not linearizable when the network is cut.
func Weak() harness.Workload {
	return workload(checker.Weak, harness.Workload{
		Name:      "register-weak",
		Doc:       "the register with R = W = 1 and no repair: must be found not linearizable",
		Read:      harness.ReadOptions{R: 1, Strict: true, Repair: "none"},
		Write:     harness.WriteOptions{W: 1, Strict: true},
		Generator: weakGenerator,
		Replay:    weakReplay,
		Events:    []harness.Event{checker.StaleRead()},
	})
}

// workload adds what both have in common.
func workload(mode checker.Mode, w harness.Workload) harness.Workload {
	read, write := w.Read, w.Write
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, read, write)
	}
	w.Checkers = checker.Together(checker.Under(checker.Claims{Mode: mode},
		checker.Linearizable(checker.Budget{}), checker.Sanity(), checker.LostWrites(),
		checker.Convergence(), checker.Copies(), checker.Audits(), checker.Recency(), checker.Sessions(),
		checker.Causal(), checker.MVR(), checker.Staleness(), checker.Availability(),
	)...)
	return w
}

// unserved is an operation that a strict quorum could not be found for: the price of
// linearizability, which is paid under any fault that keeps nodes apart.
func unserved() harness.Event {
	return harness.Event{
		Name: "an operation found no quorum",
		Count: func(h []harness.Op) int {
			n := 0
			for _, op := range h {
				if op.Process >= 0 && (op.Kind == harness.Fail || op.Kind == harness.Info) {
					n++
				}
			}
			return n
		},
		Needs: checker.KeepsApart,
	}
}

// readLater is an answer of a key that nobody had written to for a while: of what was moved, or kept, meanwhile.
func readLater() harness.Event {
	const while = 5 * time.Second
	return harness.Event{
		Name:  "a key was read 5 s after its last put",
		Needs: func(p harness.Plan) bool { return p.Time >= 2*while },
		Count: func(h []harness.Op) int {
			last, n := map[string]time.Duration{}, 0
			for _, op := range h {
				put, written := last[op.Key]
				switch {
				case op.IsWrite():
					last[op.Key] = op.Time
				case written && op.Process >= 0 && op.F == harness.Get && op.Kind == harness.OK && op.Time >= put+while:
					n++
				}
			}
			return n
		},
	}
}
