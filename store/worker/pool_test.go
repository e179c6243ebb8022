package worker_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cartwheel/store/worker"
)

func TestFunctionsNeverWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.NewPool(2)
		release := make(chan struct{})
		var began, ended atomic.Int32
		for range 10 {
			p.Go(func() {
				began.Add(1)
				<-release
				ended.Add(1)
			})
		}
		synctest.Wait()
		if began.Load() != 10 {
			t.Errorf("%d of 10 functions began beside each other", began.Load())
		}
		close(release)
		p.Close()
		if ended.Load() != 10 {
			t.Errorf("Close returned when %d of 10 functions had", ended.Load())
		}
	})
}

func TestGoroutinesStayForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := worker.NewPool(1)
		var n int
		for range 100 {
			p.Go(func() { n++ }) // the race detector finds out whether two goroutines did it without an order
			synctest.Wait()
		}
		if p.Close(); n != 100 {
			t.Errorf("%d of 100 functions ran", n)
		}
	})
}
