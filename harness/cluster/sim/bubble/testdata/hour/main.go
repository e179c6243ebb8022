// Command hour lets an hour pass in a bubble, and two mishaps happen.
package main

import (
	"fmt"
	"strings"
	"time"

	"cartwheel/harness/cluster/sim/bubble"
)

func main() {
	if err := bubble.Run(func() {
		begin := time.Now()
		time.Sleep(time.Hour)
		fmt.Println(time.Since(begin))
	}); err != nil {
		fmt.Println(err)
	}
	if err := bubble.Run(func() { panic("ouch") }); err != nil && strings.Contains(err.Error(), "ouch") {
		fmt.Println("panic caught")
	}
	if err := bubble.Run(func() { <-make(chan int) }); err != nil && strings.Contains(err.Error(), "deadlock") {
		fmt.Println("deadlock caught")
	}
}
