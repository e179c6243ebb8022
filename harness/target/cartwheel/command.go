package cartwheel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cartwheel/harness"
)

// Port is where a node serves clients and peers inside its pod.
const Port = 7070

// AdminPort is where a node inside its pod answers the harness's own questions, apart from clients.
const AdminPort = 7071

// Data is the directory of a node's volume inside its pod.
const Data = "/data"

// ClockFile is where a node looks for how wrong its clock is, inside its pod. [ClockEnv]
// tells it to.
const ClockFile = "/clock/skew"

// ClockEnv is the setting of a node's environment that makes it follow [ClockFile].
const ClockEnv = "CARTWHEELD_CLOCK_SKEW=" + ClockFile

// Command returns what makes the command of a node's container, after the image's entry
// point. Members are all nodes, n among them, as they reach each other: host:port.
func Command(o harness.StoreOptions) func(n harness.NodeID, members map[harness.NodeID]string) []string {
	return func(n harness.NodeID, members map[harness.NodeID]string) []string { return command(o, n, members) }
}

func command(o harness.StoreOptions, n harness.NodeID, members map[harness.NodeID]string) []string {
	list := make([]string, 0, len(members))
	for id, address := range members {
		list = append(list, fmt.Sprintf("%s=%s", id, address))
	}
	slices.Sort(list)
	return append([]string{"--id", string(n), "--members", strings.Join(list, ",")}, common(o)...)
}

// Join returns what makes the command of a node that is no member: it is reached at address, host:port, and
// finds the cluster at seeds.
func Join(o harness.StoreOptions) func(n harness.NodeID, address string, seeds []string) []string {
	return func(n harness.NodeID, address string, seeds []string) []string {
		return append([]string{"--id", string(n), "--advertise", address, "--join", strings.Join(seeds, ",")}, common(o)...)
	}
}

// common is what all nodes are told.
func common(o harness.StoreOptions) []string {
	words := []string{"--listen", fmt.Sprintf(":%d", Port), "--admin-listen", fmt.Sprintf(":%d", AdminPort), "--data", Data}
	for _, b := range buckets {
		words = append(words, "--bucket", b)
	}
	words = append(words, "--tombstone-interval", o.TombstoneInterval.String(), "--tombstone-grace", "0s")
	if o.NoAntiEntropy {
		words = append(words, "--repair-interval", "0s")
	}
	if o.CheckInterval > 0 {
		words = append(words, "--check-interval", o.CheckInterval.String())
	}
	if o.FlushAfter > 0 {
		words = append(words, "--object-buffer", "--flush-after", o.FlushAfter.String())
	}
	if o.CacheBytes > 0 {
		words = append(words, "--cache-bytes", strconv.Itoa(o.CacheBytes))
	}
	if o.MemtableBytes > 0 {
		words = append(words, "--memtable-bytes", strconv.Itoa(o.MemtableBytes))
	}
	if o.HintBytes > 0 {
		words = append(words, "--hint-bytes", strconv.FormatUint(o.HintBytes, 10))
	}
	if o.HintRate > 0 {
		words = append(words, "--hint-rate", strconv.Itoa(o.HintRate))
	}
	return words
}
