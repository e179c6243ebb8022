package harness

import (
	"context"
	"time"
)

// A Verdict is the result of a check. Unknown never counts as a pass.
type Verdict string

// Verdicts.
const (
	Valid   Verdict = "valid"
	Invalid Verdict = "invalid"
	Unknown Verdict = "unknown"
)

// Worst composes verdicts: invalid over unknown over valid. Of nothing it is unknown.
func Worst(vs ...Verdict) Verdict {
	worst, rank := Unknown, -1
	order := map[Verdict]int{Valid: 0, Unknown: 1, Invalid: 2}
	for _, v := range vs {
		if r, ok := order[v]; ok && r > rank {
			worst, rank = v, r
		} else if !ok && rank < 1 {
			worst, rank = Unknown, 1
		}
	}
	return worst
}

// A Checker judges a history. It is pure but for its budget: the same history gives the
// same finding, except that one cut short by its context is Unknown. It is safe for
// concurrent use and must not change the history.
type Checker interface {
	Name() string
	Check(ctx context.Context, h []Op) Finding
}

// A Briefed checker judges by what the run set out to do as well: by how many nodes its requests asked for, and in which
// world it was.
type Briefed interface {
	// Brief returns the checker for the runs of a plan. It changes nothing.
	Brief(p Plan) Checker
}

// A Finding is one checker's result.
type Finding struct {
	Checker   string             `json:"checker"`
	Verdict   Verdict            `json:"verdict"`
	Summary   string             `json:"summary"`             // one sentence, also when valid: what was checked, how much
	Anomalies []Anomaly          `json:"anomalies,omitempty"` // worst first; at most a few of each kind
	Counts    map[string]int     `json:"counts,omitempty"`    // anomalies found, by kind
	Figures   map[string]float64 `json:"figures,omitempty"`
	Picture   []byte             `json:"-"` // an HTML page of its own, if the checker draws one
}

// An Anomaly is one broken promise with the smallest evidence that shows it.
type Anomaly struct {
	Kind    string   `json:"kind"` // "lost-write", "divergent", "false-sibling", "not-linearizable", ...
	Key     string   `json:"key"`
	Element string   `json:"element,omitempty"` // the value or element concerned
	Story   []string `json:"story"`             // sentences, in the order a reader needs them
	Ops     []int    `json:"ops"`               // indices of the operations that prove it
	Core    []int    `json:"core,omitempty"`    // indices of operations that are enough for the checker to find it, if they were looked for and found
}

// An Event is something that must have happened for a run to count: a green run
// proves that it was hard.
type Event struct {
	Name  string            // "a write was hinted"
	Count func(h []Op) int  // how often the history shows it
	Needs func(n Plan) bool // whether this plan can bring it about; nil: always
}

// A Plan is what a run set out to do.
type Plan struct {
	Suite       string        `json:"suite"`
	Workload    string        `json:"workload"`
	Nemesis     string        `json:"nemesis"`
	World       string        `json:"world"`
	Target      string        `json:"target"`
	Seed        uint64        `json:"seed"`
	Nodes       []NodeID      `json:"nodes"`
	Concurrency int           `json:"concurrency"`
	Time        time.Duration `json:"time"`
	Rate        float64       `json:"rate,omitempty"` // operations a second; 0: the workload's default
	Read        ReadOptions   `json:"read"`
	Write       WriteOptions  `json:"write"`
	Store       StoreOptions  `json:"store,omitzero"`
	Schedule    []Fault       `json:"schedule"`
	Skipped     []Skip        `json:"skipped,omitempty"` // what the nemesis makes elsewhere and could not here
	Mutant      string        `json:"mutant,omitempty"`  // the bug that is planted in the store; empty: it is as it is
	Repeat      string        `json:"repeat"`            // command line that does it again
}

// A Skip is a sort of fault that was left out, because this cluster or this target cannot
// have it.
type Skip struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"` // empty: all of the kind
	Why  string `json:"why"`
}

// A Result is all that is known of a finished run: verdict.json.
type Result struct {
	Plan     Plan          `json:"plan"`
	Verdict  Verdict       `json:"verdict"`
	Reasons  []string      `json:"reasons"`           // why, in sentences; the first is the headline
	Trouble  string        `json:"trouble,omitempty"` // why the run did not go its whole way
	Findings []Finding     `json:"findings"`
	Faults   []FaultRecord `json:"faults"`
	Events   []EventRecord `json:"events"`
	Missing  []string      `json:"missing,omitempty"` // required events that never happened
	Thin     bool          `json:"thin,omitempty"`    // unknown for what is missing alone: nothing was found and nothing else is in doubt
	Stats    Stats         `json:"stats"`
	Started  time.Time     `json:"started"`
	Phases   []PhaseRecord `json:"phases"`
	Dir      string        `json:"-"` // results folder
}

// A FaultRecord is a fault as it went.
type FaultRecord struct {
	Fault    Fault    `json:"fault"`
	Evidence Evidence `json:"evidence"`
	Ops      int      `json:"ops"` // operations that overlapped it
}

// An EventRecord is a required event and how often it was seen.
type EventRecord struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// A PhaseRecord says when a phase began, since the run began.
type PhaseRecord struct {
	Phase Phase         `json:"phase"`
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
}

// Stats count completions of client operations.
type Stats struct {
	OK   int `json:"ok"`
	Fail int `json:"fail"`
	Info int `json:"info"`
}

// A Workload says what to do with a store and how to judge it. It is data: the same
// workload runs against any target on any cluster.
type Workload struct {
	Name      string
	Doc       string // one sentence
	Read      ReadOptions
	Write     WriteOptions
	Store     StoreOptions
	Generator func(Setup) Generator
	// Replay does given steps again, each at its time in its thread, with contexts and
	// values from what the thread has seen in this run. Steps that make no sense without
	// what was taken away are left out. Optional: without it a run cannot be shrunk.
	Replay func(Setup, []Step) Generator
	// Invoke does one operation and returns its completion. It runs concurrently for
	// different processes; ctx ends at the operation's deadline.
	Invoke   func(ctx context.Context, c Client, op Op) Op
	Checkers []Checker
	Events   []Event
}

// A Setup is what a workload's generator may depend on.
type Setup struct {
	Nodes       []NodeID
	Concurrency int           // client threads
	Time        time.Duration // of the load; the generator need not stop by itself
	Rate        float64       // operations a second, all threads together; 0: the workload's default
	Seed        uint64        // of what the generator decides apart from GenContext.Rand, such as gaps between operations
}
