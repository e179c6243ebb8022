package bubble

import (
	"fmt"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

// Run calls f in a new bubble and returns when f and every goroutine that it started
// have returned. A panic of f itself, a deadlock and goroutines that never end come back
// as errors; a panic in another goroutine ends the process, as it does everywhere. Bubbles
// may run side by side, but not inside each other. f must not call runtime.Goexit.
func Run(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bubble: %v", p)
		}
	}()
	var inner error
	// The zero T serves as long as nothing is reported through it, so f never sees it.
	synctest.Test(&testing.T{}, func(*testing.T) {
		defer func() {
			if p := recover(); p != nil {
				inner = fmt.Errorf("bubble: panic: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	})
	return inner
}

// Settle returns when everyone else in the caller's bubble waits: all that was to
// happen at this instant has happened. One goroutine at a time may call it.
func Settle() { synctest.Wait() }
