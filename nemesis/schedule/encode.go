package schedule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/grudge"
)

// Encode writes a schedule as a JSON list of faults. Times are nanoseconds, as
// everywhere in a run's folder.
func Encode(faults []harness.Fault) ([]byte, error) {
	if faults == nil {
		faults = []harness.Fault{}
	}
	data, err := json.MarshalIndent(faults, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schedule: %w", err)
	}
	return append(data, '\n'), nil
}

// line is a fault as people may write it: start and stop are nanoseconds or like "2.5s".
type line struct {
	ID    string           `json:"id"`
	Kind  string           `json:"kind"`
	Name  string           `json:"name"`
	Start moment           `json:"start"`
	Stop  moment           `json:"stop"`
	Links []harness.Link   `json:"links"`
	Nodes []harness.NodeID `json:"nodes"`
	Role  *harness.Role    `json:"role"`
	// Groups is another way to say Links: nodes of different groups do not hear each other,
	// one of no group hears all.
	Groups [][]harness.NodeID `json:"groups"`

	Signal string             `json:"signal"`
	Shape  *harness.Shape     `json:"shape"`
	Skew   *harness.Skew      `json:"skew"`
	Disk   *harness.DiskFault `json:"disk"`
	Spare  harness.NodeID     `json:"spare"`
}

type moment time.Duration

// UnmarshalJSON reads nanoseconds or a Go duration.
func (m *moment) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		return json.Unmarshal(data, (*time.Duration)(m))
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	*m = moment(d)
	return err
}

// Decode reads a schedule and sorts it by start. Errors in the text name its line, a
// misspelt field is one of them. Call [Validate] before playing it.
func Decode(data []byte) ([]harness.Fault, error) {
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	var lines []line
	if err := in.Decode(&lines); err != nil {
		return nil, fmt.Errorf("schedule line %d: %w", lineOf(data, err, in.InputOffset()), err)
	}
	if in.More() {
		return nil, fmt.Errorf("schedule line %d: something follows the list of faults", 1+bytes.Count(data[:in.InputOffset()], []byte("\n")))
	}
	faults := make([]harness.Fault, len(lines))
	for i, l := range lines {
		faults[i] = harness.Fault{
			ID: l.ID, Kind: l.Kind, Name: l.Name, Links: l.Links, Nodes: l.Nodes, Role: l.Role,
			Start: time.Duration(l.Start), Stop: time.Duration(l.Stop),
			Signal: l.Signal, Shape: l.Shape, Skew: l.Skew, Disk: l.Disk, Spare: l.Spare,
		}
		if len(l.Groups) > 0 {
			if len(l.Links) > 0 {
				return nil, fmt.Errorf("schedule: fault %s has links and groups: which of them?", l.ID)
			}
			faults[i].Links = grudge.Groups(l.Groups)
		}
	}
	slices.SortStableFunc(faults, func(a, b harness.Fault) int { return cmp.Compare(a.Start, b.Start) })
	return faults, nil
}

// lineOf finds the text line of a JSON error.
func lineOf(data []byte, err error, offset int64) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
}

// Validate says everything that keeps a schedule from being played on the nodes within
// a load of the given length.
func Validate(faults []harness.Fault, nodes []harness.NodeID, span time.Duration) error {
	var errs []error
	seen := make(map[string]bool)
	for i, f := range faults {
		name := "fault " + f.ID
		if f.ID == "" {
			name = fmt.Sprintf("fault number %d", i+1)
		}
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: %w", name, fmt.Errorf(format, args...)))
		}
		switch {
		case f.ID == "":
			bad("it has no id")
		case seen[f.ID]:
			bad("the id is taken")
		}
		seen[f.ID] = true
		if f.Kind == "" {
			bad("it has no kind")
		}
		if f.Start < 0 {
			bad("it starts at %v, before the load", f.Start)
		}
		if f.Stop <= f.Start {
			bad("it stops at %v, not after its start at %v", f.Stop, f.Start)
		}
		if f.Stop > span {
			bad("it stops at %v, after the load's end at %v", f.Stop, span)
		}
		if len(f.Links) == 0 && len(f.Nodes) == 0 && f.Spare == "" && f.Role == nil {
			bad("it has neither links nor nodes")
		}
		if slices.Contains(nodes, f.Spare) {
			bad("the machine %q that it adds is one of the cluster %v", f.Spare, nodes)
		}
		targets(f, nodes, bad)
		does(f, bad)
	}
	return errors.Join(errs...)
}

// does checks that what a fault does to those it strikes can be done at all.
func does(f harness.Fault, bad func(string, ...any)) {
	if !slices.Contains([]string{"", "KILL", "TERM"}, f.Signal) {
		bad("signal %q: KILL or TERM", f.Signal)
	}
	var errs []error
	if f.Shape != nil {
		errs = append(errs, f.Shape.Valid())
	}
	if f.Skew != nil {
		errs = append(errs, f.Skew.Valid())
	}
	if f.Disk != nil {
		errs = append(errs, f.Disk.Valid())
	}
	if err := errors.Join(errs...); err != nil {
		bad("%w", err)
	}
}

// targets checks that links and nodes exist, each once.
func targets(f harness.Fault, nodes []harness.NodeID, bad func(string, ...any)) {
	links := make(map[harness.Link]bool)
	for _, l := range f.Links {
		switch {
		case l.From == l.To:
			bad("link from %q to itself", l.From)
		case links[l]:
			bad("link from %q to %q is listed twice", l.From, l.To)
		}
		links[l] = true
		for _, n := range []harness.NodeID{l.From, l.To} {
			if n != harness.Clients && !slices.Contains(nodes, n) {
				bad("no node %q in the cluster %v", n, nodes)
			}
		}
	}
	named := make(map[harness.NodeID]bool)
	for _, n := range f.Nodes {
		switch {
		case !slices.Contains(nodes, n):
			bad("no node %q in the cluster %v", n, nodes)
		case named[n]:
			bad("node %q is listed twice", n)
		}
		named[n] = true
	}
}
