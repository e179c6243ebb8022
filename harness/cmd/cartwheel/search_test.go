package main

import (
	"os"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/checker/child"
)

func TestThisProgramAnswersASearch(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := child.Process{Command: []string{program, searchName}}
	for value, legal := range map[string]bool{"a": true, "b": false} {
		a := p.Search(t.Context(), checker.Search{
			Steps: []checker.SearchStep{{F: harness.Put, Value: "a", Call: 1, Return: 2}, {F: harness.Get, Value: value, Call: 3, Return: 4}},
			Time:  time.Minute, Memory: 1 << 30,
		})
		if a.Doubt != "" || a.Legal != legal {
			t.Errorf("a read of %s after a put of a: got %+v, want %t", value, a, legal)
		}
	}
}
