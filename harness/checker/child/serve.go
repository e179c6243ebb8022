package child

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"cartwheel/harness/checker"
)

// slack is address space, in bytes, for what a program needs beside the search's own memory.
const slack = 512 << 20

// Serve reads one search, limits the memory of this process to its budget, and writes the
// answer. The search ends early when in does.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var s checker.Search
	asked := json.NewDecoder(in)
	if err := asked.Decode(&s); err != nil {
		return fmt.Errorf("read search: %w", err)
	}
	if err := limit(s.Memory + slack); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup // not waited for: a read of standard input cannot be called off, it ends with the process
	wg.Go(func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	})
	if err := json.NewEncoder(out).Encode(s.Answer(ctx)); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
