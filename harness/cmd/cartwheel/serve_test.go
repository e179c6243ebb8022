package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestServeShowsResultsUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	var code int
	var command sync.WaitGroup
	command.Go(func() {
		code = run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--results", t.TempDir()}, os.LookupEnv, w, io.Discard)
		_ = w.Close()
	})
	line := make([]byte, 200)
	n, err := r.Read(line)
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(string(line[:n]))
	if err != nil || url == "" {
		t.Fatalf("it says %q, %v", line[:n], err)
	}
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil || !strings.Contains(string(page), "No runs here") {
		t.Errorf("got %v, %s", err, page)
	}
	interrupt()
	command.Wait()
	if code != exitValid {
		t.Errorf("exit code %d", code)
	}
}

func TestServeKeepsToThisMachine(t *testing.T) {
	for _, args := range [][]string{
		{"--addr", "0.0.0.0:0"}, {"--addr", ":8080"}, {"--addr", "8080"}, {"--results", "no/such/folder"},
	} {
		var said bytes.Buffer
		args = append([]string{"serve"}, args...)
		if code := run(t.Context(), args, os.LookupEnv, &said, &said); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, &said)
		}
	}
}
