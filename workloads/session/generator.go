package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

const (
	keysAtATime = 2   // few enough that sessions meet on one key, and come back to it
	opsMax      = 200 // on a key before a fresh one takes its place
	defaultRate = 100 // operations a second, all clients together
	putOneInto  = 3   // one operation in so many puts
	mixOneIn    = 8   // one put in so many takes the context of another key, where keys are mixed up

	sweepTime = time.Second // before the end; schedules leave more after the last heal
)

// Generator lets every thread read and write a few keys, as a session of its own.
func Generator(s harness.Setup) harness.Generator { return staggered(s, crowd{floors: true}) }

// sweepingGenerator is weakGenerator until shortly before the end, when all faults are healed
// and nodes know of each other again. Then every key is read, once.
func sweepingGenerator(s harness.Setup) harness.Generator {
	return staggered(s, crowd{sweep: s.Time - min(sweepTime, s.Time/4)})
}

// mixedGenerator is Generator with clients that now and then put to one key with the context of another.
func mixedGenerator(s harness.Setup) harness.Generator {
	return staggered(s, crowd{floors: true, mixes: true})
}

// weakGenerator is the same with reads that say nothing of what they must show.
func weakGenerator(s harness.Setup) harness.Generator { return staggered(s, crowd{}) }

func staggered(s harness.Setup, g crowd) harness.Generator {
	return generator.Stagger(cmp.Or(s.Rate, defaultRate), s.Seed, g)
}

// A crowd is the state of all sessions. It is a value.
type crowd struct {
	seen   floors
	ops    int // so far: which keys are in use
	values int // puts so far
	floors bool
	mixes  bool          // one put in mixOneIn has the context of another key
	sweep  time.Duration // from here on every key is read once, and nothing is written; 0: never
	swept  int           // keys that were read by then
	missed []string      // of these, those whose get failed
}

// generation counts how often the keys were replaced before an operation.
func generation(op int) int { return op / (opsMax * keysAtATime) }

// key names the keys in the order of their use.
func key(n int) string { return fmt.Sprintf("s%d.%d", n%keysAtATime, n/keysAtATime) }

func (g crowd) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	op := harness.Op{F: harness.Get, Process: c.Free[c.Rand.IntN(len(c.Free))]}
	if g.sweep > 0 && c.Time >= g.sweep {
		switch {
		case g.swept < (generation(g.ops)+1)*keysAtATime:
			op.Key = key(g.swept)
			g.swept++
		case len(g.missed) > 0:
			op.Key, g.missed = g.missed[0], g.missed[1:]
		default:
			return harness.Draw{State: harness.Pending, At: c.Time + 100*time.Millisecond}, g // one under way may still fail
		}
		return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
	}
	first, at := generation(g.ops)*keysAtATime, c.Rand.IntN(keysAtATime)
	op.Key = key(first + at)
	g.ops++
	floor := g.seen[place{op.Process, op.Key}]
	if c.Rand.IntN(putOneInto) == 0 {
		g.values++
		op.F, op.Value, op.Context = harness.Put, fmt.Sprintf("v%d", g.values), floor
		if other := g.seen[place{op.Process, key(first + (at+1)%keysAtATime)}]; g.mixes && other != nil && c.Rand.IntN(mixOneIn) == 0 {
			op.Context = other
		}
	} else if g.floors {
		op.Context = floor
	}
	return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
}

func (g crowd) Update(_ harness.GenContext, op harness.Op) harness.Generator {
	if g.swept > 0 && op.Process >= 0 && op.F == harness.Get && op.Kind == harness.Fail {
		g.missed = append(slices.Clone(g.missed), op.Key)
	}
	g.seen = g.seen.after(op.Process, op)
	return g
}

// floors are the contexts of the last answers. It is a value: it is copied before it
// changes.
type floors map[place][]byte

// A place is a key as one session knows it.
type place struct {
	session int
	key     string
}

// after returns the floors after a completion. An answer is never below the floor it was
// asked with, and a put's covers its own past, so the last one is the highest.
func (f floors) after(session int, op harness.Op) floors {
	if op.Process < 0 || op.Kind != harness.OK {
		return f
	}
	f = maps.Clone(f)
	if f == nil {
		f = floors{}
	}
	f[place{session, op.Key}] = op.Token
	return f
}

// Replay does the steps of an earlier run again, each with what its thread has seen in this one.
func Replay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{floors: true})
}

// weakReplay is the same with reads that say nothing of what they must show.
func weakReplay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{})
}

// memory is what the sessions go by. It is a value.
type memory struct {
	seen   floors // by thread
	floors bool
}

func (m memory) Fill(thread int, s harness.Step) (harness.Op, bool) {
	op := harness.Op{F: s.F, Key: s.Key, Action: s.Action, Element: s.Element}
	if s.F == harness.Put {
		op.Value = fmt.Sprintf("v%d", s.Put)
	}
	if s.F == harness.Put || m.floors {
		op.Context = m.seen[place{thread, s.Key}]
	}
	return op, true
}

// Saw forgets a session that ended in an unknown outcome: its thread begins another.
func (m memory) Saw(thread int, op harness.Op) generator.Memory {
	if op.Kind == harness.Info {
		m.seen = maps.Clone(m.seen)
		maps.DeleteFunc(m.seen, func(p place, _ []byte) bool { return p.session == thread })
		return m
	}
	m.seen = m.seen.after(thread, op)
	return m
}
