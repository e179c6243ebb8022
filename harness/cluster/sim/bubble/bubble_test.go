package bubble

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnHourPassesAtOnce(t *testing.T) {
	var passed time.Duration
	if err := Run(func() {
		begin := time.Now()
		time.Sleep(time.Hour)
		passed = time.Since(begin)
	}); err != nil {
		t.Fatal(err)
	}
	if passed != time.Hour {
		t.Errorf("got %v, want an hour to the nanosecond", passed)
	}
}

func TestSettleLetsTheInstantFinish(t *testing.T) {
	done := false
	if err := Run(func() {
		c := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(c) })
		time.AfterFunc(time.Second, func() { <-c; done = true })
		time.Sleep(time.Second)
		Settle()
		if !done {
			panic("others were still to run")
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatGoesWrongComesBackAsAnError(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func()
		want string
	}{
		{"panic", func() { panic("ouch") }, "panic: ouch"},
		{"deadlock", func() { <-make(chan int) }, "deadlock"},
		{"leak", func() { never := make(chan int); time.AfterFunc(0, func() { <-never }); time.Sleep(time.Nanosecond) }, "deadlock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Run(c.f); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A program that is no test binary must be able to do the same.
func TestRunWorksInAnOrdinaryProgram(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "hour")
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/hour").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), "GODEBUG=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run: %v\n%s", err, out)
	}
	const want = "1h0m0s\npanic caught\ndeadlock caught\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
