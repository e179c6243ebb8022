package history

import (
	"encoding/base64"
	"time"

	"cartwheel/harness"
)

// wordsMax bounds the table of words; wordMax, in bytes, what is a word.
const (
	wordsMax = 16 << 10
	wordMax  = 64
)

// words keeps one copy of strings that come again: names of functions, keys and nodes,
// and what a completion repeats. A full table is emptied.
type words struct{ table map[string]string }

func (w *words) of(b []byte) string {
	if len(b) > wordMax {
		return string(b)
	}
	if s, ok := w.table[string(b)]; ok {
		return s
	}
	if w.table == nil || len(w.table) >= wordsMax {
		w.table = make(map[string]string, 256)
	}
	s := string(b)
	w.table[s] = s
	return s
}

// plain reads a line as nearly all are: ASCII, no escapes but those of quotes and
// backslashes, whole numbers, every field once. It reports false for any other, right or wrong, which has to be
// read by encoding/json then: many times slower, and the law of what a line means.
type plain struct {
	text  []byte
	at    int
	words *words
	bare  []byte // the text that was unescaped last
}

func (p *plain) op(op *harness.Op) bool {
	var seen uint32
	needed := uint32(1<<len(required) - 1)
	ok := p.object(func(name []byte) bool {
		var bit int
		var ok bool
		switch string(name) {
		case "index":
			bit, ok = 0, p.integer(&op.Index)
		case "time":
			bit, ok = 1, p.duration(&op.Time)
		case "process":
			bit, ok = 2, p.integer(&op.Process)
		case "kind":
			bit, ok = 3, str(p, &op.Kind)
		case "f":
			bit, ok = 4, str(p, &op.F)
		case "key":
			bit, ok = 5, str(p, &op.Key)
		case "node":
			bit, ok = 6, str(p, &op.Node)
		case "phase":
			bit, ok = 7, str(p, &op.Phase)
		case "value":
			bit, ok = 8, str(p, &op.Value)
		case "context":
			bit, ok = 9, p.bytes(&op.Context)
		case "action":
			bit, ok = 10, str(p, &op.Action)
		case "element":
			bit, ok = 11, str(p, &op.Element)
		case "siblings":
			bit, ok = 12, p.siblings(&op.Siblings)
		case "token":
			bit, ok = 13, p.bytes(&op.Token)
		case "state":
			bit, ok = 14, str(p, &op.State)
		case "meta":
			bit, ok = 15, p.meta(op)
		case "error":
			bit, ok = 16, str(p, &op.Error)
		case "write":
			bit, ok = 17, str(p, &op.Write)
		case "given_up":
			bit, ok = 18, p.boolean(&op.GivenUp)
		}
		if !ok || seen&(1<<bit) != 0 {
			return false
		}
		seen |= 1 << bit
		return true
	})
	return ok && p.at == len(p.text) && seen&needed == needed
}

func (p *plain) siblings(out *[]harness.Sibling) bool {
	*out = []harness.Sibling{} // as encoding/json has it of an empty list
	return p.list(func() bool {
		var s harness.Sibling
		var seen [3]bool
		ok := p.object(func(name []byte) bool {
			switch string(name) {
			case "value":
				return once(&seen[0]) && str(p, &s.Value)
			case "tombstone":
				return once(&seen[1]) && p.boolean(&s.Tombstone)
			case "write":
				return once(&seen[2]) && str(p, &s.Write)
			}
			return false
		})
		*out = append(*out, s)
		return ok
	})
}

func (p *plain) meta(op *harness.Op) bool {
	var m harness.Meta
	var seen [6]bool
	op.Meta = &m
	return p.object(func(name []byte) bool {
		switch string(name) {
		case "coordinator":
			return once(&seen[0]) && str(p, &m.Coordinator)
		case "forwarded":
			return once(&seen[1]) && p.boolean(&m.Forwarded)
		case "replies":
			return once(&seen[2]) && p.replies(&m.Replies)
		case "hinted":
			return once(&seen[3]) && p.integer(&m.Hinted)
		case "degraded":
			return once(&seen[4]) && p.boolean(&m.Degraded)
		case "repairs":
			return once(&seen[5]) && p.integer(&m.Repairs)
		}
		return false
	})
}

func (p *plain) replies(out *[]harness.Reply) bool {
	*out = make([]harness.Reply, 0, 3)
	return p.list(func() bool {
		var r harness.Reply
		var seen [4]bool
		ok := p.object(func(name []byte) bool {
			switch string(name) {
			case "node":
				return once(&seen[0]) && str(p, &r.Node)
			case "for":
				return once(&seen[1]) && str(p, &r.For)
			case "state":
				return once(&seen[2]) && str(p, &r.State)
			case "rtt":
				return once(&seen[3]) && p.duration(&r.RTT)
			}
			return false
		})
		*out = append(*out, r)
		return ok
	})
}

func once(seen *bool) bool {
	was := *seen
	*seen = true
	return !was
}

// object reads an object, calling field for the value of each name.
func (p *plain) object(field func(name []byte) bool) bool {
	if !p.is('{') {
		return false
	}
	if p.is('}') {
		return true
	}
	for {
		name, ok := p.quoted()
		if !ok || !p.is(':') || !field(name) {
			return false
		}
		if !p.is(',') {
			return p.is('}')
		}
	}
}

func (p *plain) list(element func() bool) bool {
	if !p.is('[') {
		return false
	}
	if p.is(']') {
		return true
	}
	for {
		if !element() {
			return false
		}
		if !p.is(',') {
			return p.is(']')
		}
	}
}

// is steps over c, with blanks before and after it, if it is next.
func (p *plain) is(c byte) bool {
	p.blanks()
	if p.at >= len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	p.blanks()
	return true
}

func (p *plain) blanks() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// quoted returns what is between quotes, which must need no unescaping.
func (p *plain) quoted() ([]byte, bool) {
	if p.at >= len(p.text) || p.text[p.at] != '"' {
		return nil, false
	}
	for i, c := range p.text[p.at+1:] {
		switch {
		case c == '"':
			s := p.text[p.at+1 : p.at+1+i]
			p.at += i + 2
			return s, true
		case c == '\\' || c < ' ' || c >= 0x80:
			return nil, false
		}
	}
	return nil, false
}

// unquoted returns what quotes mean; the next call overwrites it.
func (p *plain) unquoted() ([]byte, bool) {
	if b, ok := p.quoted(); ok || p.at >= len(p.text) || p.text[p.at] != '"' {
		return b, ok
	}
	p.bare = p.bare[:0]
	for i := p.at + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '"':
			p.at = i + 1
			return p.bare, true
		case c == '\\':
			if i++; i >= len(p.text) || p.text[i] != '"' && p.text[i] != '\\' {
				return nil, false
			}
			c = p.text[i]
		case c < ' ' || c >= 0x80:
			return nil, false
		}
		p.bare = append(p.bare, c)
	}
	return nil, false
}

func str[S ~string](p *plain, out *S) bool {
	b, ok := p.unquoted()
	*out = S(p.words.of(b))
	return ok
}

func (p *plain) bytes(out *[]byte) bool {
	b, ok := p.quoted()
	if !ok {
		return false
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(raw, b)
	*out = raw[:n:n]
	return err == nil
}

func (p *plain) boolean(out *bool) bool {
	for _, word := range []string{"true", "false"} {
		if rest := p.text[p.at:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			p.at += len(word)
			*out = word == "true"
			return true
		}
	}
	return false
}

// digitsMax is how many digits fit into 64 bits for certain.
const digitsMax = 18

// number reads a whole number without a leading zero.
func (p *plain) number() (int64, bool) {
	negative := p.at < len(p.text) && p.text[p.at] == '-'
	if negative {
		p.at++
	}
	start, n := p.at, int64(0)
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' && p.at-start <= digitsMax {
		n = 10*n + int64(p.text[p.at]-'0')
		p.at++
	}
	digits := p.at - start
	if digits == 0 || digits > digitsMax || digits > 1 && p.text[start] == '0' {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

func (p *plain) integer(out *int) bool {
	n, ok := p.number()
	*out = int(n)
	return ok && int64(*out) == n
}

func (p *plain) duration(out *time.Duration) bool {
	n, ok := p.number()
	*out = time.Duration(n)
	return ok
}
