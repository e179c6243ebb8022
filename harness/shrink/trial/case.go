package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cartwheel/harness"
	"cartwheel/harness/shrink"
)

// File holds the case beside a run's history: what was played, as data.
const File = "case.json"

// From makes a case of a recorded run.
func From(p harness.Plan, h []harness.Op) (shrink.Case, error) {
	if len(p.Nodes) == 0 || p.Concurrency < 1 {
		return shrink.Case{}, fmt.Errorf("make a case: the plan has %d nodes and %d clients", len(p.Nodes), p.Concurrency)
	}
	c := shrink.Case{
		Seed: p.Seed, Nodes: p.Nodes, Time: p.Time, Schedule: p.Schedule,
		Threads: make([]harness.NodeID, p.Concurrency), Steps: harness.StepsOf(h, p.Concurrency),
	}
	for i := range c.Threads {
		c.Threads[i] = p.Nodes[i%len(p.Nodes)]
	}
	for _, s := range c.Steps { // what was done is better evidence than a rule
		c.Threads[s.Thread] = s.Node
	}
	if err := c.Validate(); err != nil {
		return shrink.Case{}, err
	}
	return c, nil
}

// Load reads the case of a run's folder; ok tells whether there is one.
func Load(dir string) (c shrink.Case, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return c, false, fmt.Errorf("read case: %w", err)
	}
	return c, true, nil
}

func save(dir string, c shrink.Case) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, File), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return nil
}
