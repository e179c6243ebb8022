package seeds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

var (
	errHung   = errors.New("the seed did not finish in time")
	errDied   = errors.New("the worker died")
	errBabble = errors.New("the worker does not speak as one") // another program, or one that prints
)

// beginTime is how long a worker has to begin a job, its own start included.
const beginTime = time.Minute

// dumpTime is how long a worker that hangs has to write its stacks.
const dumpTime = 10 * time.Second

// A worker is a child process.
type worker struct {
	cmd    *exec.Cmd
	jobs   io.WriteCloser
	lines  chan line // closed when the worker has closed its output
	babble error     // why lines was closed; read after that
	stderr *head
	gone   chan struct{} // closed when the process has ended
	wait   sync.WaitGroup
}

func start(cmd *exec.Cmd) (*worker, error) {
	w := &worker{cmd: cmd, lines: make(chan line, 2), stderr: &head{max: 1 << 20}, gone: make(chan struct{})}
	out, err := cmd.StdoutPipe()
	if err == nil {
		w.jobs, err = cmd.StdinPipe()
	}
	if err == nil {
		cmd.Stderr = w.stderr
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	w.wait.Go(func() {
		defer close(w.gone)
		w.read(out)
		_ = cmd.Wait() // how it ended shows in what it said and wrote
	})
	return w, nil
}

// read passes the worker's lines on until it ends.
func (w *worker) read(out io.Reader) {
	defer close(w.lines)
	dec := json.NewDecoder(out)
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				w.babble = fmt.Errorf("%w: %w", errBabble, err)
				_, _ = io.Copy(io.Discard, out) // so that it can end
			}
			return
		}
		w.lines <- l
	}
}

// do has the worker run a job.
func (w *worker) do(ctx context.Context, j Job, limit time.Duration) (*Report, error) {
	w.stderr.reset()
	if err := json.NewEncoder(w.jobs).Encode(j); err != nil {
		return nil, errors.Join(errDied, err)
	}
	timer := time.NewTimer(limit + beginTime)
	defer timer.Stop()
	for {
		select {
		case l, ok := <-w.lines:
			if l.Begin {
				timer.Reset(limit)
			}
			switch {
			case !ok && w.babble != nil:
				return nil, w.babble
			case !ok:
				return nil, errDied
			case l.Seed != j.Seed:
				return nil, fmt.Errorf("%w: it talks of seed %d, not %d", errBabble, l.Seed, j.Seed)
			case l.Report != nil:
				return l.Report, nil
			}
		case <-timer.C:
			return nil, errHung
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// dump ends a worker that hangs and returns the stacks of its goroutines, which a Go
// program writes when it is told to quit.
func (w *worker) dump() string {
	if err := w.cmd.Process.Signal(syscall.SIGQUIT); err == nil {
		timer := time.NewTimer(dumpTime)
		defer timer.Stop()
		w.drain(timer.C)
	}
	w.kill()
	return w.stderr.String()
}

// drain reads on until the worker has ended or time is up.
func (w *worker) drain(limit <-chan time.Time) {
	for {
		select {
		case _, ok := <-w.lines:
			if !ok {
				w.lines = nil // closed: only the end is left to wait for
			}
		case <-w.gone:
			return
		case <-limit:
			return
		}
	}
}

// kill ends the worker now.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill() // it may be gone already
	w.drain(nil)
	w.wait.Wait()
}

// close lets an idle worker end by itself. A nil worker is closed.
func (w *worker) close() {
	if w == nil {
		return
	}
	_ = w.jobs.Close() // the end of its input; it may be gone already
	timer := time.NewTimer(dumpTime)
	defer timer.Stop()
	w.drain(timer.C)
	w.kill()
}

// A head keeps the beginning of what is written: a panic begins with its reason.
type head struct {
	max int // bytes

	mu   sync.Mutex
	kept []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), h.max-len(h.kept))]...)
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.kept)
}

func (h *head) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = nil
}
