package child

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"cartwheel/harness/checker"
)

// graceDefault is how long a child may take beyond its budget, to start and to answer.
const graceDefault = 3 * time.Second

// keepMax bounds what is kept of a child's output, in bytes; the rest is dropped.
const keepMax = 16 << 10

// A Process says how to start a child: a program that calls [Serve] on its standard input
// and output.
type Process struct {
	Command []string
	Env     []string      // added to this process's
	Grace   time.Duration // beyond a search's time, after which the child is killed; default 3s
}

// Search starts a child, waits for its answer and for its end.
func (p Process) Search(ctx context.Context, s checker.Search) checker.Answer {
	if p.Grace == 0 {
		p.Grace = graceDefault
	}
	ctx, cancel := context.WithTimeout(ctx, s.Time+p.Grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	var out, complaint head
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &complaint, time.Second
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", s.Memory)), p.Env...)
	err := ask(cmd, s)
	var a checker.Answer
	switch {
	case ctx.Err() != nil:
		a.Doubt = fmt.Sprintf("the search of %d operations was killed after its time of %v", len(s.Steps), s.Time)
	case err != nil && outOfMemory(complaint.String()):
		a.Doubt = fmt.Sprintf("the search of %d operations was ended by its memory budget of %d MiB", len(s.Steps), s.Memory>>20)
	case err != nil:
		first, _, _ := strings.Cut(complaint.String(), "\n")
		a.Doubt = strings.TrimSuffix(fmt.Sprintf("the process of the search failed: %v: %s", err, first), ": ")
	default:
		if err := json.Unmarshal(out.Bytes(), &a); err != nil {
			a = checker.Answer{Doubt: fmt.Sprintf("the process of the search gave no answer: %v", err)}
		}
	}
	return a
}

// ask runs the child. Its input stays open as long as this process wants the answer.
func ask(cmd *exec.Cmd, s checker.Search) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("open its input: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	asked := json.NewEncoder(in).Encode(s) // a killed child breaks the pipe
	if err := cmd.Wait(); err != nil {
		return err
	}
	return asked
}

// outOfMemory knows the last words of a Go program that got no more memory, also of one
// that was built with the race detector, which has words of its own.
func outOfMemory(complaint string) bool {
	return slices.ContainsFunc([]string{"out of memory", "cannot allocate memory", "failed to allocate", "address space collisions"}, func(words string) bool {
		return strings.Contains(complaint, words)
	})
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), keepMax-h.Len())])
	return len(p), nil
}
