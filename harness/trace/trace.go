package trace

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// File holds the trace in a run's folder. Its fields are explained in results/README.md.
const File = "trace.jsonl"

// LinesMax is how many lines a run's folder keeps.
const LinesMax = 10_000

// Events of lines. All but Message and Left happen to Line.Node, or to Line.Links.
const (
	Message = "message"
	Start   = "start" // a process begins to serve
	Kill    = "kill"  // a process ends at once, and unsynced data with it
	End     = "end"   // a process ends in an orderly way
	Pause   = "pause"
	Resume  = "resume"
	Cut     = "cut" // links lose everything from now on
	Mend    = "mend"
	Disturb = "disturb" // a link, a disk or a clock is made worse, or well again: see Line.Detail
	Left    = "left"    // the first line of a trace that was cut: how many lines were left out
)

// What messages are about.
const (
	Client    = "client"       // between a client and its coordinator
	Forward   = "forward"      // a put on its way to a node that may coordinate it
	Replicate = "replicate"    // a put's state, to an owner of its key
	Hint      = "hint"         // a put's state, to a stand-in for an owner
	HandOff   = "hand-off"     // a hint, to the owner that it was kept for
	Read      = "read"         // what a replica knows, for a get
	Repair    = "read repair"  // the result of a get, to an owner that was behind
	Entropy   = "anti-entropy" // digests, and the keys that differed
	Ping      = "ping"         // is anybody there?
	Look      = "look"         // the harness or an operator asks about a node
)

// Kinds of messages.
const (
	Request = "request"
	Reply   = "reply"
	Cancel  = "cancel" // the caller has given up
	Reset   = "reset"  // nobody is there, or not any more
)

// Fates of messages.
const (
	Delivered = "delivered"
	Ignored   = "ignored"  // it came too late to matter
	Refused   = "refused"  // nobody listened
	Lost      = "lost"     // given up after the last repetition
	Orphaned  = "orphaned" // its sender died before it left
)

// A Line is one message or event.
type Line struct {
	Event string         `json:"event"`
	Time  time.Duration  `json:"time"`           // of the event, or of a message's first transmission; since the run began, negative before its load
	Ended time.Duration  `json:"ended"`          // when a message's fate was sealed
	From  harness.NodeID `json:"from,omitempty"` // messages; clients are c0, c1, ... as they were opened
	To    harness.NodeID `json:"to,omitempty"`
	Kind  string         `json:"kind,omitempty"`
	What  string         `json:"what,omitempty"`

	Method   string            `json:"method,omitempty"` // of the call, without its service
	Key      string            `json:"key,omitempty"`
	For      harness.NodeID    `json:"for,omitempty"`      // hints: the owner
	Versions []harness.Sibling `json:"versions,omitempty"` // that it carries
	Error    string            `json:"error,omitempty"`    // replies: why there is no result
	Fate     string            `json:"fate,omitempty"`     //
	Tries    int               `json:"tries,omitempty"`    // transmissions, if more than one
	Call     string            `json:"call,omitempty"`     // name that a call's messages share

	Node   harness.NodeID `json:"node,omitempty"` // of an event
	Links  []harness.Link `json:"links,omitempty"`
	Fault  string         `json:"fault,omitempty"`  // cut, mend: the fault's id
	Detail string         `json:"detail,omitempty"` // in words
}

// Arrived reports whether a message came to its receiver.
func (l Line) Arrived() bool { return l.Fate == Delivered || l.Fate == Ignored || l.Fate == Refused }

// Sort puts lines in the order of time, and those of one instant in an order that
// depends on nothing but themselves.
func Sort(lines []Line) {
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(
			cmp.Compare(a.Time, b.Time), cmp.Compare(a.Ended, b.Ended),
			strings.Compare(a.Event, b.Event), strings.Compare(string(a.Node), string(b.Node)),
			strings.Compare(string(a.From), string(b.From)), strings.Compare(string(a.To), string(b.To)),
			strings.Compare(a.Call, b.Call), strings.Compare(a.Kind, b.Kind),
			strings.Compare(a.Fault, b.Fault), strings.Compare(a.Detail, b.Detail),
		)
	})
}

// Write writes lines to File in a run's folder, in one step.
func Write(dir string, lines []Line) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("encode trace: %w", err)
		}
	}
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path+".new", buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("save trace: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save trace: %w", err)
	}
	return nil
}

// Load reads the trace of a run's folder. A run without one, as every run on real
// machines, has no lines.
func Load(dir string) (lines []Line, err error) {
	f, err := os.Open(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	dec := json.NewDecoder(bufio.NewReader(f))
	for dec.More() {
		var l Line
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("read trace, line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}
