package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/report"
	"cartwheel/harness/runner"
	"cartwheel/harness/shrink"
	"cartwheel/harness/shrink/trial"
	"cartwheel/nemesis/schedule"
)

// A Replaying says which stored run is played again.
type Replaying struct {
	Path    string // the run's folder
	Cluster string // where to play it; default: where it was
	Image   string // of the store, see Knobs
	Overlay string // see Knobs
	Results string // folder for results; empty: nothing is written
	Hooks   Hooks  // its Journal is not used
}

// A Replayed is what came of it.
type Replayed struct {
	Stored  harness.Plan
	Verdict harness.Verdict // that the stored run had
	Result  harness.Result  // of the run that was played now

	Inexact    string // why the histories need not be equal; empty: they must be
	Lines      int    // of the history that was played now
	Difference string // the first line that differs; empty: equal byte for byte
	Repeats    bool   // two plays now are equal, so it is the build that is another; only with a difference
}

// Exact reports whether the histories had to be equal, and were.
func (r Replayed) Exact() bool { return r.Inexact == "" && r.Difference == "" }

// historyName is the journal in a run's folder.
const historyName = "history.jsonl"

// Replay plays a stored run again: same knobs, seed and faults, the latter as they are
// in its schedule.json now, edited or not. In the simulation the history must be the same
// byte for byte, unless the schedule was edited or the stored run was cut short. An error
// means that it could not be played, and is ErrKnobs if there is nothing to play.
func Replay(ctx context.Context, r Replaying) (Replayed, error) {
	dir, err := filepath.EvalSymlinks(r.Path) // the new run may move what it points at
	if err != nil {
		return Replayed{}, fmt.Errorf("%w: %w", ErrKnobs, err)
	}
	stored, err := runner.Stored(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Replayed{}, fmt.Errorf("%w: %s is no run's folder: %w", ErrKnobs, r.Path, err)
	}
	if err != nil {
		return Replayed{}, err
	}
	out := Replayed{Stored: stored.Plan, Verdict: stored.Verdict}
	want, err := os.ReadFile(filepath.Join(dir, historyName))
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrKnobs, err)
	}
	play, inexact, err := r.player(dir, stored.Plan)
	if err != nil {
		return out, err
	}
	out.Inexact = inexact
	if out.Inexact == "" && !complete(want) {
		out.Inexact = "the stored run was cut short, which no seed repeats"
	}
	var got []byte
	if out.Result, got, err = play(ctx, r.Results, r.Hooks); err != nil {
		return out, err
	}
	if ctx.Err() != nil && out.Inexact == "" {
		out.Inexact = "this run was cut short"
	}
	out.Lines = bytes.Count(got, []byte("\n"))
	out.Difference = Difference(want, got)
	if out.Inexact == "" && out.Difference != "" {
		_, again, err := play(ctx, "", Hooks{})
		if err != nil {
			return out, err
		}
		out.Repeats = bytes.Equal(got, again)
	}
	return out, nil
}

// A player plays a run and returns its history as bytes.
type player func(ctx context.Context, results string, h Hooks) (harness.Result, []byte, error)

// player finds out how to play the run of a folder, and why that is not exact.
func (r Replaying) player(dir string, p harness.Plan) (player, string, error) {
	cluster := r.Cluster
	if cluster == "" {
		cluster = p.World
	}
	c, shrunk, err := trial.Load(dir)
	if err != nil {
		return nil, "", err
	}
	if shrunk {
		if cluster != "sim" {
			return nil, "", fmt.Errorf("%w: a shrunk run is of the simulated cluster: its clients act at set instants", ErrKnobs)
		}
		w, err := Workload(p.Workload)
		if err != nil {
			return nil, "", err
		}
		t, err := trialOf(p, w.Checkers[0].Name(), "") // whichever: all of them judge what is recorded
		if err != nil {
			return nil, "", err
		}
		return func(ctx context.Context, results string, _ Hooks) (harness.Result, []byte, error) {
			return playCase(ctx, t, c, results)
		}, "", nil
	}
	k, err := knobsOf(p)
	if err != nil {
		return nil, "", err
	}
	k.Cluster, k.Image, k.Overlay = cluster, r.Image, r.Overlay
	edited, err := r.faults(dir, p, &k)
	if err != nil {
		return nil, "", err
	}
	inexact := ""
	switch {
	case !Simulated(cluster):
		inexact = "on real machines a replay repeats the seed's operations and the faults, not their timing"
	case !Exact(cluster):
		inexact = fmt.Sprintf("in the %s world things happen at once, and their order is not repeated", cluster)
	case p.World != cluster:
		inexact = fmt.Sprintf("the stored run is of the %s world, whose timing the %s world does not repeat", p.World, cluster)
	case edited:
		inexact = "its schedule was edited, which makes it another run"
	}
	return func(ctx context.Context, results string, h Hooks) (harness.Result, []byte, error) {
		k := k
		k.Results = results
		var got bytes.Buffer
		h.Journal = &got
		res, err := Run(ctx, k, h)
		return res, got.Bytes(), err
	}, inexact, nil
}

// faults sets the schedule to replay and reports whether it is another than was played.
func (r Replaying) faults(dir string, p harness.Plan, k *Knobs) (edited bool, err error) {
	path := filepath.Join(dir, "schedule.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrKnobs, err)
	}
	faults, err := schedule.Decode(data)
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrKnobs, path, err)
	}
	k.Schedule = path
	now, err := schedule.Encode(faults)
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrKnobs, path, err)
	}
	then, err := schedule.Encode(p.Schedule)
	if err != nil {
		return false, fmt.Errorf("%w: stored plan: %w", ErrKnobs, err)
	}
	return !bytes.Equal(now, then), nil
}

// knobsOf finds the knobs that make a plan.
func knobsOf(p harness.Plan) (Knobs, error) {
	k := Knobs{
		Suite: p.Suite, Workload: p.Workload, Nemesis: p.Nemesis, Cluster: p.World, Seed: p.Seed, Time: p.Time,
		Nodes: len(p.Nodes), Concurrency: p.Concurrency, Rate: p.Rate,
		R: p.Read.R, W: p.Write.W, Repair: p.Read.Repair, Quorum: "sloppy", Durability: p.Write.Durability,
	}
	if p.Write.Strict {
		k.Quorum = "strict"
	}
	w, err := Workload(p.Workload)
	if err != nil {
		return k, err
	}
	if w.Read == p.Read && w.Write == p.Write {
		k.R, k.W, k.Repair, k.Quorum, k.Durability = 0, 0, "", "", ""
	}
	if w.Store.FlushAfter != p.Store.FlushAfter {
		k.FlushAfter = p.Store.FlushAfter
	}
	k.NoAntiEntropy = p.Store.NoAntiEntropy && !w.Store.NoAntiEntropy
	if w.Store.HintBytes != p.Store.HintBytes {
		k.HintBytes = p.Store.HintBytes
	}
	if w.Store.HintRate != p.Store.HintRate {
		k.HintRate = p.Store.HintRate
	}
	if got := k.apply(w); got.Read != p.Read || got.Write != p.Write || got.Store != p.Store {
		return k, fmt.Errorf("%w: no knobs make reads %+v and writes %+v of a store %+v", ErrKnobs, p.Read, p.Write, p.Store)
	}
	return k, nil
}

// complete reports whether a history ends as one does that went its whole way.
func complete(history []byte) bool {
	lines := bytes.Split(bytes.TrimSpace(history), []byte("\n"))
	return bytes.Contains(lines[len(lines)-1], []byte(`"f":"`+runner.EndOp+`"`))
}

// Difference tells the first line in which two histories differ; nothing if they are equal.
func Difference(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	a, b := strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(got), "\n")
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	at := func(lines []string) string {
		if i >= len(lines) || lines[i] == "" {
			return "(nothing: it ends here)"
		}
		return strings.TrimSuffix(lines[i], "\n")
	}
	return fmt.Sprintf("line %d\n  first  %s\n  second %s", i+1, at(a), at(b))
}

// playCase plays a shrunk run by its case.
func playCase(ctx context.Context, t *trial.Trial, c shrink.Case, results string) (res harness.Result, got []byte, err error) {
	root := results
	if root == "" {
		if root, err = os.MkdirTemp("", "cartwheel-replay-"); err != nil {
			return res, nil, fmt.Errorf("play a case: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	}
	if res, err = t.Record(ctx, c, root, report.Write, Shrinking{}.repeat); err != nil {
		return res, nil, err
	}
	if got, err = os.ReadFile(filepath.Join(res.Dir, historyName)); err != nil {
		return res, nil, fmt.Errorf("play a case: %w", err)
	}
	if results == "" {
		res.Dir = ""
	}
	return res, got, nil
}
