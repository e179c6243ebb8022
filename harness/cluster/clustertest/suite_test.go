package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
)

// A fake keeps the whole contract in memory, save for the bug that it is given. Every
// look at a fault's counts finds that another packet was discarded on each of its links.
type fake struct {
	bug string

	mu      sync.Mutex
	running bool
	faults  map[string]map[harness.Link]uint64
	paused  map[harness.NodeID]bool
	dead    map[harness.NodeID]bool
	lives   int // restarts of dead nodes
	shapes  map[string]map[harness.Link]uint64
	skews   map[harness.NodeID]skewed
	spares  []harness.NodeID
	taken   map[harness.NodeID]bool
	wiped   bool
}

type skewed struct {
	harness.Skew
	since time.Time
}

// bugs are ways to be wrong, each with the words by which the suite must complain.
var bugs = map[string]string{
	"a cut works both ways":            "is open: got false",
	"a cut does nothing":               "is open: got true",
	"probes leave links out":           "probed: false",
	"a heal heals everything":          "under the second alone",
	"a heal does nothing":              "after the heal",
	"a later fault replaces earlier":   "under both",
	"a second cut replaces the first":  "after the second cut",
	"counts are of all links":          "does not cut",
	"counts restart at a heal":         "the count fell",
	"counts stay at zero":              "did not happen within",
	"counts outlive the heal":          "still has counts",
	"pausing twice is an error":        "pause n1",
	"pausing resumes others":           "after pausing a second",
	"resuming does nothing":            "after resuming",
	"clients are not cut off":          "clients->n1 is open: got true",
	"unknown nodes can be cut":         "want one",
	"addresses are shared":             "also that of",
	"killing twice is an error":        "kill n1",
	"killing does nothing":             "after a kill",
	"terminating does nothing":         "after a terminate",
	"killing kills others":             "after a kill: n2 is alive: got false",
	"restarting does nothing":          "after a restart",
	"restarting twice is an error":     "restart n1",
	"a restart moves the node":         "addresses were",
	"a kill heals cuts":                "while the sender is dead",
	"a restart heals cuts":             "after the sender's restart",
	"the new process is mute":          "did not happen within",
	"the dead can be paused":           "a dead node was paused",
	"the paused hear":                  "cannot have heard",
	"a pause outlives a kill":          "after its kill",
	"a resumption wakes the dead":      "after the resumption of a dead node",
	"unknown nodes can be killed":      "an unknown node was killed",
	"shapings are not counted":         "did not happen within",
	"shapings are counted everywhere":  "but shapes",
	"a shaping heals all":              "no such fault",
	"shapings stay":                    "a healed fault still has counts",
	"any shape will do":                "a loss of 2: got no error",
	"a skew does nothing":              "ahead: the clock of n1 is off by 0s",
	"a skew hits all":                  "beside one that is ahead",
	"a clock is not frozen":            "a frozen clock falls behind: did not happen",
	"a clock stays wrong":              "set right: the clock",
	"a new process has the right time": "the new process has the clock of its machine: did not happen",
	"any skew will do":                 "a clock backwards: got no error",
	"healed disks count":               "a healed disk has hit",
	"any disk fault will do":           "no fault: got no error",
	"an added machine counts as begun": "the cluster's nodes are",
	"adding does nothing":              "with one more: spare machines are []",
	"removing does nothing":            "with that gone",
	"a name is taken for ever":         "add a machine",
	"any machine can be removed":       "that the cluster began with was removed",
	"the living can be wiped":          "of a living node was emptied",
	"the wiped stay dead":              "with an empty disk: n1 is alive: got false",
	"there are no logs":                "did not happen within",
	"stopping twice is an error":       "is stopped",
	"starting twice is no error":       "want one",
	"nothing needs a running one":      "a stopped cluster's link",
}

func newFake(bug string) *fake {
	return &fake{
		bug: bug, faults: map[string]map[harness.Link]uint64{}, paused: map[harness.NodeID]bool{}, dead: map[harness.NodeID]bool{},
		shapes: map[string]map[harness.Link]uint64{}, skews: map[harness.NodeID]skewed{},
		taken: map[harness.NodeID]bool{},
	}
}

func (f *fake) World() string { return "fake" }

func (f *fake) Nodes() []harness.NodeID {
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	if f.bug == "an added machine counts as begun" {
		return append(nodes, f.spares...)
	}
	return nodes
}

func (f *fake) Address(n harness.NodeID) string {
	if f.bug == "addresses are shared" {
		return "here"
	}
	if f.bug == "a restart moves the node" && n == "n1" {
		return fmt.Sprint(n, f.lives)
	}
	return string(n)
}

func (f *fake) Start(context.Context) error {
	if f.running && f.bug != "starting twice is no error" {
		return errors.New("is running")
	}
	f.running = true
	return nil
}

func (f *fake) Stop(context.Context) error {
	if !f.running && f.bug == "stopping twice is an error" {
		return errors.New("is stopped")
	}
	f.running = false
	return nil
}

func (f *fake) check(ctx context.Context, links []harness.Link) error {
	if !f.running && f.bug != "nothing needs a running one" {
		return errors.New("is stopped")
	}
	for _, l := range links {
		if f.bug != "unknown nodes can be cut" && (l.From == l.To || !f.reachable(l.From) || !f.reachable(l.To)) {
			return fmt.Errorf("no link %v", l)
		}
	}
	return ctx.Err()
}

func (f *fake) reachable(n harness.NodeID) bool {
	return n == harness.Clients || slices.Contains(f.Nodes(), n)
}

func (f *fake) Cut(ctx context.Context, fault string, links []harness.Link) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(ctx, links); err != nil || f.bug == "a cut does nothing" {
		return err
	}
	if f.bug == "a later fault replaces earlier" {
		clear(f.faults)
	}
	if f.faults[fault] == nil || f.bug == "a second cut replaces the first" {
		f.faults[fault] = map[harness.Link]uint64{}
	}
	for _, l := range links {
		if f.bug == "clients are not cut off" && l.OfClients() {
			continue
		}
		f.faults[fault][l] = 0
		if f.bug == "a cut works both ways" {
			f.faults[fault][harness.Link{From: l.To, To: l.From}] = 0
		}
	}
	return nil
}

func (f *fake) Mend(ctx context.Context, fault string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.bug {
	case "a heal heals everything":
		for _, links := range f.faults {
			clear(links)
		}
	case "a heal does nothing":
		return nil
	case "counts outlive the heal":
		clear(f.faults[fault])
		return nil
	case "counts restart at a heal":
		for _, links := range f.faults {
			for l := range links {
				links[l] = 0
			}
		}
	}
	delete(f.faults, fault)
	return f.check(ctx, nil)
}

func (f *fake) Dropped(ctx context.Context, fault string) (map[harness.Link]uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	links, ok := f.faults[fault]
	if !ok {
		return nil, errors.New("no such fault")
	}
	counts := map[harness.Link]uint64{}
	if f.bug == "counts are of all links" {
		for _, l := range AllLinks(f.Nodes()) {
			counts[l] = 1
		}
	}
	for l := range links {
		mute := f.bug == "the new process is mute" && f.lives > 0 && fault == "outlives"
		if f.bug != "counts stay at zero" && !mute {
			links[l]++
		}
		counts[l] = links[l]
	}
	return counts, f.check(ctx, nil)
}

func (f *fake) Probe(ctx context.Context, links []harness.Link) (map[harness.Link]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	open := map[harness.Link]bool{}
	for i, l := range links {
		if i == 1 && f.bug == "probes leave links out" {
			continue
		}
		open[l] = true
		for _, cut := range f.faults {
			if _, ok := cut[l]; ok {
				open[l] = false
			}
		}
	}
	return open, f.check(ctx, links)
}

func (f *fake) Pause(ctx context.Context, n harness.NodeID) error {
	if f.dead[n] && f.bug != "the dead can be paused" {
		return errors.New("is dead")
	}
	if f.paused[n] && f.bug == "pausing twice is an error" {
		return errors.New("is paused")
	}
	if f.bug == "pausing resumes others" {
		clear(f.paused)
	}
	if !slices.Contains(f.Nodes(), n) {
		return errors.New("no such node")
	}
	f.paused[n] = true
	return f.check(ctx, nil)
}

func (f *fake) Resume(ctx context.Context, n harness.NodeID) error {
	if f.bug == "a resumption wakes the dead" {
		delete(f.dead, n)
	}
	if f.bug != "resuming does nothing" {
		delete(f.paused, n)
	}
	return f.check(ctx, nil)
}

func (f *fake) Paused(_ context.Context, n harness.NodeID) (bool, error) { return f.paused[n], nil }

func (f *fake) Kill(ctx context.Context, n harness.NodeID) error {
	switch {
	case f.bug == "killing twice is an error" && f.dead[n]:
		return errors.New("is dead")
	case !slices.Contains(f.Nodes(), n) && f.bug != "unknown nodes can be killed":
		return errors.New("no such node")
	case f.bug == "killing does nothing":
		return f.check(ctx, nil)
	case f.bug == "killing kills others":
		f.dead["n2"] = true
	case f.bug == "a kill heals cuts":
		clear(f.faults)
	}
	f.dead[n] = true
	if f.bug != "a pause outlives a kill" {
		delete(f.paused, n)
	}
	return f.check(ctx, nil)
}

func (f *fake) Terminate(ctx context.Context, n harness.NodeID) error {
	switch {
	case f.bug == "terminating does nothing":
		return f.check(ctx, nil)
	case f.paused[n] && f.bug != "the paused hear":
		return errors.New("is paused")
	}
	return f.Kill(ctx, n)
}

func (f *fake) Restart(ctx context.Context, n harness.NodeID) error {
	switch {
	case f.bug == "restarting does nothing":
		return f.check(ctx, nil)
	case f.bug == "restarting twice is an error" && !f.dead[n]:
		return errors.New("runs")
	case f.bug == "a restart heals cuts":
		clear(f.faults)
	}
	if f.dead[n] {
		f.lives++
	}
	if f.bug == "a new process has the right time" {
		delete(f.skews, n)
	}
	if f.wiped && f.bug == "the wiped stay dead" {
		return f.check(ctx, nil)
	}
	delete(f.dead, n)
	return f.check(ctx, nil)
}

func (f *fake) Alive(_ context.Context, n harness.NodeID) (bool, error) { return !f.dead[n], nil }

func (f *fake) Shapes() []string { return []string{harness.ShapeLoss, harness.ShapeDelay} }

func (f *fake) Shape(ctx context.Context, fault string, links []harness.Link, s harness.Shape) error {
	if err := errors.Join(f.check(ctx, links), s.Valid()); err != nil && f.bug != "any shape will do" {
		return err
	}
	if f.bug == "shapings are counted everywhere" {
		links = AllLinks(f.Nodes())
	}
	f.shapes[fault] = map[harness.Link]uint64{}
	for _, l := range links {
		f.shapes[fault][l] = 0
	}
	return nil
}

func (f *fake) Unshape(ctx context.Context, fault string) error {
	switch f.bug {
	case "a shaping heals all":
		clear(f.shapes)
	case "shapings stay":
	default:
		delete(f.shapes, fault)
	}
	return f.check(ctx, nil)
}

func (f *fake) Shaped(_ context.Context, fault string) (map[harness.Link]uint64, error) {
	hit := f.shapes[fault]
	if hit == nil {
		return nil, errors.New("no such fault")
	}
	for l := range hit {
		if f.bug != "shapings are not counted" {
			hit[l]++
		}
	}
	return maps.Clone(hit), nil
}

func (f *fake) Skew(ctx context.Context, n harness.NodeID, s harness.Skew) error {
	switch {
	case !slices.Contains(f.Nodes(), n):
		return errors.New("no such node")
	case s == harness.Skew{} && f.bug == "a clock stays wrong", f.bug == "a skew does nothing", s.Drift == -1 && f.bug == "a clock is not frozen":
		return nil
	case s != harness.Skew{} && s.Valid() != nil && f.bug != "any skew will do":
		return s.Valid()
	}
	f.skews[n] = skewed{s, time.Now()}
	if f.bug == "a skew hits all" {
		f.skews["n2"] = f.skews[n]
	}
	return f.check(ctx, nil)
}

func (f *fake) Offset(_ context.Context, n harness.NodeID) (time.Duration, error) {
	return f.skews[n].At(time.Since(f.skews[n].since)), nil
}

func (f *fake) DiskFaults() []string { return []string{harness.DiskFull} }

func (f *fake) Disturb(ctx context.Context, n harness.NodeID, d harness.DiskFault) error {
	if !slices.Contains(f.Nodes(), n) {
		return errors.New("no such node")
	}
	if f.bug == "any disk fault will do" {
		return nil
	}
	return errors.Join(f.check(ctx, nil), d.Valid())
}

func (f *fake) Undisturb(ctx context.Context, _ harness.NodeID) error { return f.check(ctx, nil) }

func (f *fake) Disturbed(context.Context, harness.NodeID) (uint64, error) {
	if f.bug == "healed disks count" {
		return 1, nil
	}
	return 0, nil
}

func (f *fake) Add(ctx context.Context, n harness.NodeID) error {
	if slices.Contains(f.Nodes(), n) || slices.Contains(f.spares, n) || f.bug == "a name is taken for ever" && f.taken[n] {
		return errors.New("taken")
	}
	f.taken[n] = true
	if f.bug != "adding does nothing" {
		f.spares = append(f.spares, n)
	}
	return f.check(ctx, nil)
}

func (f *fake) Remove(ctx context.Context, n harness.NodeID) error {
	if slices.Contains(f.Nodes(), n) && f.bug != "any machine can be removed" && f.bug != "an added machine counts as begun" {
		return errors.New("it was there at the start")
	}
	if f.bug != "removing does nothing" {
		f.spares = nil
	}
	return f.check(ctx, nil)
}

func (f *fake) Spares() []harness.NodeID { return slices.Clone(f.spares) }

func (f *fake) Wipe(ctx context.Context, n harness.NodeID) error {
	if !f.dead[n] && f.bug != "the living can be wiped" {
		return errors.New("it lives")
	}
	f.wiped = true
	return f.check(ctx, nil)
}

func (f *fake) Logs(_ context.Context, n harness.NodeID, w io.Writer) error {
	if f.bug == "there are no logs" {
		return nil
	}
	_, err := fmt.Fprintln(w, n, "was here")
	return err
}

func TestSuitePassesAClusterWithoutBugs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { Run(t, func() harness.Cluster { return newFake("") }) })
}

// A recorder takes the suite's complaints instead of failing the test.
type recorder struct {
	testing.TB
	complaints []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func TestSuiteCatches(t *testing.T) {
	for bug, words := range bugs {
		t.Run(bug, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{TB: t}
				var wg sync.WaitGroup
				wg.Go(func() { Run(r, func() harness.Cluster { return newFake(bug) }) })
				wg.Wait()
				if all := strings.Join(r.complaints, "\n"); !strings.Contains(all, words) {
					t.Errorf("got %q, want a complaint with %q", all, words)
				}
			})
		})
	}
}
