package main

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// talk sends numbered datagrams with the time of day, three at once.
func talk(conn net.Conn) {
	n := uint64(0)
	for range time.Tick(50 * time.Millisecond) {
		for range 3 {
			n++
			b := binary.BigEndian.AppendUint64(nil, n)
			_, _ = conn.Write(binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixNano())))
		}
	}
}

// Heard is what came from one peer.
type Heard struct {
	Got       int           // datagrams
	Twice     int           // of which had come before
	Overtaken int           // of which came after one with a higher number
	Missing   int           // numbers between the first and the last that did not come
	Fastest   time.Duration // on its way
	Slowest   time.Duration
}

// listen receives datagrams on a port. The function that it returns tells what has come
// since it was called last, by the sender's address.
func listen(port string) (func() map[string]Heard, error) {
	at, err := net.ResolveUDPAddr("udp4", ":"+port)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", at)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	heard, seen := map[string]Heard{}, map[string]map[uint64]bool{}
	highest := map[string]uint64{}
	go func() {
		buffer := make([]byte, 64)
		for {
			size, from, err := conn.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			if size < 16 {
				continue
			}
			n, took := binary.BigEndian.Uint64(buffer), time.Duration(time.Now().UnixNano()-int64(binary.BigEndian.Uint64(buffer[8:])))
			mu.Lock()
			peer := from.IP.String()
			if seen[peer] == nil {
				seen[peer] = map[uint64]bool{}
			}
			h := heard[peer]
			switch {
			case seen[peer][n]:
				h.Twice++
			case n < highest[peer]:
				h.Overtaken++
				h.Missing--
			case highest[peer] > 0:
				h.Missing += int(n - highest[peer] - 1)
			}
			if h.Got == 0 || took < h.Fastest {
				h.Fastest = took
			}
			h.Got, h.Slowest = h.Got+1, max(h.Slowest, took)
			highest[peer] = max(highest[peer], n)
			seen[peer][n] = true
			heard[peer] = h
			mu.Unlock()
		}
	}()
	return func() map[string]Heard {
		mu.Lock()
		defer mu.Unlock()
		told := heard
		heard = map[string]Heard{}
		return told
	}, nil
}
