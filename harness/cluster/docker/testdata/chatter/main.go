// Chatter is the least that a store can be to a cluster: it keeps talking to all other
// nodes, keeps a file on its volume and tells whoever connects about itself.
//
//	chatter PORT [PEER...]
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	fmt.Fprintln(os.Stderr, run(os.Args[1:]))
	os.Exit(1)
}

// run returns only when it cannot go on.
func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: chatter PORT [PEER...]")
	}
	if err := os.WriteFile("/data/started", []byte("yes"), 0o600); err != nil {
		return err
	}
	rooted := os.WriteFile("/elsewhere", nil, 0o600) == nil
	l, err := net.Listen("tcp", ":"+args[0])
	if err != nil {
		return err
	}
	fmt.Println("chatter serves")
	fmt.Fprintln(os.Stderr, "chatter complains")
	for _, peer := range args[1:] {
		conn, err := net.Dial("udp", peer)
		if err != nil {
			return err
		}
		// The process lives until it is killed, and so do these.
		go func() {
			for range time.Tick(50 * time.Millisecond) {
				_, _ = io.WriteString(conn, "hello")
			}
		}()
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintf(conn, "uid %d, writes outside its volume: %v\n", os.Getuid(), rooted)
		_ = conn.Close()
	}
}
