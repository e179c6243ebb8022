package clock

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestASkewedClockRunsBesideItsBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Skewed{Base: System}
		for _, d := range []time.Duration{0, time.Hour, -time.Hour, time.Nanosecond} {
			c.Set(d)
			time.Sleep(time.Second)
			if got, want := c.Now(), System.Now().Add(d); !got.Equal(want) {
				t.Errorf("skewed by %v: got %v, want %v", d, got, want)
			}
		}
	})
}

func TestAClockMayBeSkewedWhileItIsRead(t *testing.T) {
	base := time.Unix(1000, 0)
	c := &Skewed{Base: fixed(base)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 100 {
			c.Set(time.Duration(i) * time.Second)
		}
	})
	for range 100 {
		if got := c.Now(); got.Before(base) || got.After(base.Add(99*time.Second)) {
			t.Errorf("got %v, want a time that was set", got)
		}
	}
	wg.Wait()
}

type fixed time.Time

func (f fixed) Now() time.Time { return time.Time(f) }
