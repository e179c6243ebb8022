// Chatter is the least that a store can be to a cluster: it keeps talking to all other
// nodes, counts its lives in a file on its volume and tells whoever connects about itself,
// in a first line, of what it has heard from others since it was asked last, in a second,
// of the hour by its own clock, in a third, and of its last write to its volume, in a fourth.
//
//	chatter PORT [PEER...]
//
// ADMIN=port in the environment makes it tell so at a second port as well, STUBBORN=1 in the environment makes it ignore SIGTERM, LIVES=n makes it refuse to live
// more than n times.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"cartwheel/store/clock"
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
	obey()
	life, err := count("/data/lives")
	if err != nil {
		return err
	}
	if most, err := strconv.Atoi(os.Getenv("LIVES")); err == nil && life > most {
		return fmt.Errorf("no more lives")
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
		go talk(conn)
	}
	heard, err := listen(args[0])
	if err != nil {
		return err
	}
	said, err := note("/data/notes")
	if err != nil {
		return err
	}
	wall := clock.Followed{Base: clock.System, File: "/clock/skew"}
	tell := func(w io.Writer) {
		fmt.Fprintf(w, "uid %d, writes outside its volume: %v, lives: %d\n", os.Getuid(), rooted, life)
		_ = json.NewEncoder(w).Encode(heard())
		fmt.Fprintln(w, wall.Now().UnixNano())
		fmt.Fprintln(w, said())
	}
	failed := make(chan error, 2)
	if port := os.Getenv("ADMIN"); port != "" {
		admin, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go func() { failed <- serve(admin, tell) }()
	}
	go func() { failed <- serve(l, tell) }()
	return <-failed
}

// serve tells whoever connects.
func serve(l net.Listener, tell func(io.Writer)) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		tell(conn)
		_ = conn.Close()
	}
}

// obey ends the process at SIGTERM. The first process of a container has no default action.
func obey() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			if os.Getenv("STUBBORN") == "" {
				os.Exit(0)
			}
		}
	}()
}

// count adds one to the number in a file and returns it.
func count(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	n, _ := strconv.Atoi(string(text)) // none at first
	n++
	return n, os.WriteFile(path, []byte(strconv.Itoa(n)), 0o600)
}
