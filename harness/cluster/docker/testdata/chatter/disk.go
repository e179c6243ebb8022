package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// note writes to a file, syncs it and reads it back, for ever. The function that it returns tells how long
// the last sync took, in milliseconds, and how it or the read ended.
func note(path string) (func() string, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	last := "0 none yet"
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			_, err := f.WriteAt([]byte("a note"), 0)
			begun := time.Now()
			if err == nil {
				err = f.Sync()
			}
			took := time.Since(begun)
			if err == nil {
				_, err = f.ReadAt(make([]byte, 6), 0)
			}
			mu.Lock()
			last = fmt.Sprintf("%d %v", took.Milliseconds(), err)
			mu.Unlock()
		}
	}()
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}, nil
}
