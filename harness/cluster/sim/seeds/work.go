package seeds

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// A Job is a seed to run.
type Job struct {
	Seed  uint64 `json:"seed"`
	Procs int    `json:"procs,omitempty"` // GOMAXPROCS for it; 0: leave it as it is
}

// A Report is what a worker says of a job.
type Report struct {
	Sum    uint64          `json:"sum,string,omitempty"` // equal for equal runs of a seed
	Failed bool            `json:"failed,omitempty"`     // what the seed looked for was found, or it could not be run
	Error  string          `json:"error,omitempty"`      // why it could not be run
	Data   json.RawMessage `json:"data,omitempty"`       // whatever the caller wants to know; Run passes it on
}

// A line is one message of a worker.
type line struct {
	Begin  bool    `json:"begin,omitempty"`
	Seed   uint64  `json:"seed"`
	Report *Report `json:"report,omitempty"`
}

// Work is a worker: it reads jobs, one a line, does them one after the other and reports.
// It returns at the end of input. Nothing else may be written to out.
func Work(in io.Reader, out io.Writer, do func(Job) Report) error {
	jobs, enc := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var j Job
		if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		if err := enc.Encode(line{Begin: true, Seed: j.Seed}); err != nil {
			return fmt.Errorf("announce seed %d: %w", j.Seed, err)
		}
		r := perform(j, do)
		if err := enc.Encode(line{Seed: j.Seed, Report: &r}); err != nil {
			return fmt.Errorf("report seed %d: %w", j.Seed, err)
		}
	}
}

func perform(j Job, do func(Job) Report) Report {
	if j.Procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(j.Procs))
	}
	return do(j)
}
