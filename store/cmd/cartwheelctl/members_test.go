package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// A change of members from the first wish to the end, as an operator sees it.
func TestALifeOfAChange(t *testing.T) {
	at := cluster(t)
	do := func(args ...string) string {
		t.Helper()
		out, _, err := ctl(t, append(args, at...)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out
	}
	expect := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
	}
	expect(do("members"), "n1", "member", "version 1 of the layout, settled")
	expect(do("join", "n4=n4.invalid:7070", "--zone", "b", "--capacity", "2"), "8 of 24 replicas would be copied", "planned: join n4=n4.invalid:7070 --zone b --capacity 2", "commit 2")
	expect(do("plan", "--moves"), "FROM ALL OF", "commit 2")
	expect(do("abort"), "the plan is forgotten")
	do("join", "n4=n4.invalid:7070")
	expect(do("commit", "2"), "version 2 is on its way")
	expect(do("members"), "joining", "versions 1 (planned) and 2 (planned) are live", "reads to those of 1", "waits for the ack of")
	var m struct {
		Step    string `json:"step"`
		Settled bool   `json:"settled"`
	}
	if err := json.Unmarshal([]byte(do("members", "--json")), &m); err != nil || m.Settled || m.Step != "ack" {
		t.Errorf("got %+v, %v", m, err)
	}
	expect(do("abort", "3"), "version 3 takes the change back")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"leave", "n9"}, 254, "n9 is no member"},
		{[]string{"join", "n5"}, 254, "start it with --join"},
		{[]string{"join", "n5=here"}, 254, "id=host:port"},
		{[]string{"commit", "4"}, 1, "nothing is planned"},
		{[]string{"commit", "soon"}, 254, "no version"},
		{[]string{"abort", "2"}, 1, "layout has changed since"},
	} {
		_, _, err := ctl(t, append(c.args, at...)...)
		if exitCode(err) != c.code || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: exit code %d, %v, want %d and %q", c.args, exitCode(err), err, c.code, c.want)
		}
	}
	do("set", "n1", "--capacity", "3")
	_, _, err := ctl(t, append([]string{"commit", "4"}, at...)...)
	if err == nil || !strings.Contains(err.Error(), "wait until 'members' shows that it has settled") {
		t.Errorf("a second change: %v", err)
	}
	do("abort")
	expect(do("force-remove", "n4"), "planned: force-remove n4")
	expect(do("transfers"), "MEMBER", "n3", "STILL TO DROP")
}
