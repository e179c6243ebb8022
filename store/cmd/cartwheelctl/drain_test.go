package main

import (
	"slices"
	"strings"
	"testing"
)

func TestDrainAndItsUndo(t *testing.T) {
	at := cluster(t)
	if out, _, err := ctl(t, append([]string{"drain"}, at...)...); err != nil || out != "n1 is drained: it may be stopped\n" {
		t.Fatalf("drain: %q, %v", out, err)
	}
	_, _, err := ctl(t, append([]string{"put", "cart:1", "milk"}, at...)...)
	if err == nil || exitCode(err) != 1 || !strings.Contains(explain(err), "drain --undo") {
		t.Errorf("put through a drained node: %v", err)
	}
	i := slices.IndexFunc(at, func(flag string) bool { return strings.HasPrefix(flag, "n2=") })
	both := append(slices.Clone(at), "--server", strings.TrimPrefix(at[i], "n2="))
	if out, _, err := ctl(t, append([]string{"put", "cart:1", "milk"}, both...)...); err != nil || !strings.Contains(out, "ok") {
		t.Errorf("put with another node to ask: %q, %v", out, err)
	}
	if _, _, err := ctl(t, append([]string{"drain"}, both...)...); exitCode(err) != 254 {
		t.Errorf("drain of two nodes: %v, want wrong usage", err)
	}
	if out, _, err := ctl(t, append([]string{"drain", "--undo", "--json"}, at...)...); err != nil || !strings.Contains(out, `"draining": false`) {
		t.Errorf("undo: %q, %v", out, err)
	}
	if _, _, err := ctl(t, append([]string{"put", "cart:1", "bread"}, at...)...); err != nil {
		t.Errorf("put after the undo: %v", err)
	}
}
