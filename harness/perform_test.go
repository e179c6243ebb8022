package harness

import (
	"context"
	"errors"
	"testing"
)

type definite struct{ error }

func (definite) Definite() bool { return true }

// scripted answers every call with the same reading and error, and notes the call.
type scripted struct {
	reading Reading
	err     error
	called  string
}

func (s *scripted) Get(context.Context, string, ReadOptions) (Reading, error) {
	s.called = Get
	return s.reading, s.err
}

func (s *scripted) Put(_ context.Context, _, value string, token []byte, _ WriteOptions) (Reading, error) {
	s.called = Put + value + string(token)
	return s.reading, s.err
}

func (s *scripted) Delete(_ context.Context, _ string, token []byte, _ WriteOptions) (Reading, error) {
	s.called = Delete + string(token)
	return s.reading, s.err
}

func (s *scripted) Close() error { return nil }

func TestPerformCompletesAnOperationByWhatItsErrorProves(t *testing.T) {
	vague, sure := errors.New("broken connection"), definite{errors.New("refused")}
	for _, c := range []struct {
		name   string
		f      string
		err    error
		called string
		want   Kind
	}{
		{name: "get", f: Get, called: "get", want: OK},
		{name: "put", f: Put, called: "putvt", want: OK},
		{name: "delete", f: Delete, called: "deletet", want: OK},
		{name: "a failed get changed nothing", f: Get, err: vague, called: "get", want: Fail},
		{name: "a put that may have happened", f: Put, err: vague, called: "putvt", want: Info},
		{name: "a put that was refused", f: Put, err: sure, called: "putvt", want: Fail},
		{name: "a delete that may have happened", f: Delete, err: vague, called: "deletet", want: Info},
		{name: "unknown function", f: "increment", want: Fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &scripted{reading: Reading{Meta: &Meta{Coordinator: "n1"}}, err: c.err}
			got := Perform(t.Context(), client, Op{F: c.f, Key: "k", Value: "v", Context: []byte("t")}, ReadOptions{}, WriteOptions{})
			if got.Kind != c.want || client.called != c.called {
				t.Errorf("got %s after calling %q, want %s after %q", got.Kind, client.called, c.want, c.called)
			}
			if c.called != "" && got.Meta == nil {
				t.Error("how the request was served got lost")
			}
			if (got.Kind == OK) != (got.Error == "") {
				t.Errorf("kind %s with error %q", got.Kind, got.Error)
			}
		})
	}
}

func TestEqualCopiesHaveEqualNames(t *testing.T) {
	a, b := Sibling{Value: "a", Write: "1"}, Sibling{Value: "b", Write: "2"}
	for _, c := range []struct {
		name string
		x, y Op
		same bool
	}{
		{name: "the order of siblings does not count", x: Op{Siblings: []Sibling{a, b}}, y: Op{Siblings: []Sibling{b, a}}, same: true},
		{name: "values do", x: Op{Siblings: []Sibling{a}}, y: Op{Siblings: []Sibling{{Value: "c", Write: "1"}}}},
		{name: "tombstones do", x: Op{Siblings: []Sibling{{Write: "1"}}}, y: Op{Siblings: []Sibling{{Write: "1", Tombstone: true}}}},
		{name: "a digest says it all", x: Op{State: "s", Siblings: []Sibling{a}}, y: Op{State: "s"}, same: true},
		{name: "digests differ", x: Op{State: "s"}, y: Op{State: "t"}},
		{name: "something and nothing", x: Op{State: "s"}, y: Op{}},
	} {
		if got := c.x.CopyState() == c.y.CopyState(); got != c.same {
			t.Errorf("%s: equal is %t, want %t", c.name, got, c.same)
		}
	}
}

func TestOnlyAnObservedFaultIsProven(t *testing.T) {
	seen := []Probe{{When: "during", What: "n1 paused", Want: true, Got: true}}
	for _, c := range []struct {
		name string
		e    Evidence
		want bool
	}{
		{name: "it struck, held and healed", e: Evidence{Injected: 1, Healed: 2, Probes: seen}, want: true},
		{name: "nothing is told", e: Evidence{}},
		{name: "a problem", e: Evidence{Injected: 1, Healed: 2, Probes: seen, Problems: []string{"n1 is not paused"}}},
		{name: "not healed", e: Evidence{Injected: 1, Probes: seen}},
		{name: "healed, but never in force", e: Evidence{Healed: 2, Probes: seen}},
		{name: "healed before it was in force", e: Evidence{Injected: 2, Healed: 1, Probes: seen}},
		{name: "nobody looked", e: Evidence{Injected: 1, Healed: 2}},
	} {
		if got := c.e.Proven(); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
