package child

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

const roleVariable = "CHILD_TEST_ROLE"

// TestMain is the child, too: as it should be, or as it must not be.
func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "hang":
		time.Sleep(time.Hour)
	case "hog":
		if err := limit(slack); err != nil {
			panic(err)
		}
		var all [][]byte
		for range 1 << 12 {
			all = append(all, make([]byte, 16<<20))
		}
		fmt.Println(len(all))
	case "die":
		panic("something broke")
	case "babble":
		fmt.Println("legal, I think")
	}
}

func as(t *testing.T, role string) Process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Process{Command: []string{program}, Env: []string{roleVariable + "=" + role}}
}

func steps(last string) []checker.SearchStep {
	return []checker.SearchStep{
		{Process: 0, F: harness.Put, Value: "a", Call: 1, Return: 2},
		{Process: 0, F: harness.Put, Value: "b", Call: 3, Return: 4},
		{Process: 1, F: harness.Get, Value: last, Call: 5, Return: 6},
	}
}

func TestAChildAnswers(t *testing.T) {
	p := as(t, "serve")
	for last, legal := range map[string]bool{"b": true, "a": false} {
		a := p.Search(t.Context(), checker.Search{Steps: steps(last), Time: time.Minute, Memory: 1 << 30})
		if a.Doubt != "" || a.Legal != legal {
			t.Errorf("read of %s last: got %+v, want %t", last, a, legal)
		}
	}
}

func TestAChildThatDoesNotAnswerLeavesADoubt(t *testing.T) {
	for role, want := range map[string]string{
		"hang":   "was killed after its time",
		"hog":    "was ended by its memory budget of 1024 MiB",
		"die":    "failed: exit status 2: panic: something broke",
		"babble": "gave no answer",
	} {
		t.Run(role, func(t *testing.T) {
			budget := time.Minute
			p := as(t, role)
			if role == "hang" {
				budget, p.Grace = time.Millisecond, time.Millisecond
			}
			a := p.Search(t.Context(), checker.Search{Steps: steps("b"), Time: budget, Memory: 1 << 30})
			if a.Legal || !strings.Contains(a.Doubt, want) {
				t.Errorf("got %+v, want %q", a, want)
			}
		})
	}
	a := Process{Command: []string{"/nowhere/at-all"}}.Search(t.Context(), checker.Search{Steps: steps("b"), Time: time.Minute})
	if a.Legal || !strings.Contains(a.Doubt, "failed") {
		t.Errorf("no program: got %+v", a)
	}
}

// Writes that overlap in great number, and a read at the end of a value that was not the
// last for certain: a search has to try all orders.
func hard(n int) (h []harness.Op) {
	line := func(op harness.Op) {
		op.Index, op.Time = len(h), time.Duration(len(h))
		h = append(h, op)
	}
	for _, kind := range []harness.Kind{harness.Invoke, harness.OK} {
		for i := range n {
			line(harness.Op{Process: i, Kind: kind, F: harness.Put, Key: "k", Value: fmt.Sprint("v", i)})
		}
	}
	for _, value := range []string{"v1", "v2"} {
		line(harness.Op{Process: n, Kind: harness.Invoke, F: harness.Get, Key: "k"})
		line(harness.Op{Process: n, Kind: harness.OK, F: harness.Get, Key: "k", Siblings: []harness.Sibling{{Value: value}}})
	}
	return h
}

func TestOnlyALongSearchGoesToAChild(t *testing.T) {
	for _, tt := range []struct{ writes, asked int }{{3, 0}, {24, 1}} {
		asked := 0
		ctx := checker.WithSearcher(t.Context(), func(_ context.Context, s checker.Search) checker.Answer {
			asked++
			if len(s.Steps) != tt.writes+2 || s.Memory != 1<<30 {
				t.Errorf("asked for %d steps in %d bytes", len(s.Steps), s.Memory)
			}
			return checker.Answer{Doubt: "too hard"}
		})
		f := checker.Linearizable(checker.Budget{}).Check(ctx, hard(tt.writes))
		if asked != tt.asked || f.Verdict != harness.Invalid {
			t.Errorf("%d writes: %d searches elsewhere, %s; want %d and invalid by zones", tt.writes, asked, f.Summary, tt.asked)
		}
	}
}
