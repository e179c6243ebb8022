package bench

import (
	"testing"
	"time"
)

func TestProcessorTimeIsReadWhateverTheProgramIsCalled(t *testing.T) {
	const rest = " S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 9 0 8800"
	for _, name := range []string{"(cartwheeld)", "(a b)", "(a) S 1 2 (b)"} {
		if got, err := processorTime([]byte("7 " + name + rest)); err != nil || got != 3*time.Second {
			t.Errorf("%s: got %v, %v, want 3s", name, got, err)
		}
	}
	if got, err := processorTime([]byte("7 (cartwheeld) S 1")); err == nil {
		t.Errorf("a line cut short: got %v, want an error", got)
	}
}
