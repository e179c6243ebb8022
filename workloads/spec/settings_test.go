package spec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	const results = "../../results"
	for _, c := range []struct {
		name   string
		env    map[string]string
		labels string
		want   Settings
		bad    bool
	}{
		{name: "nothing", want: Settings{Cluster: "sim", Seed: 1, Time: 10 * time.Second}},
		{name: "make test", env: map[string]string{"CLUSTER": "", "SEED": "7", "RESULTS": "/r"}, want: Settings{Cluster: "sim", Seed: 7, Time: 10 * time.Second}},
		{name: "chosen by cluster", env: map[string]string{"CLUSTER": "sim"}, want: Settings{Cluster: "sim", Insists: true, Seed: 9, Time: 30 * time.Second, Results: results}},
		{name: "chosen by label", labels: "pause", want: Settings{Cluster: "docker", Seed: 9, Time: 30 * time.Second, Results: results}},
		{name: "empty is none", env: map[string]string{"CLUSTER": "", "SEED": "", "TIME": "", "RESULTS": ""}, labels: "pause", want: Settings{Cluster: "docker", Seed: 9, Time: 30 * time.Second, Results: results}},
		{name: "all", env: map[string]string{"CLUSTER": "sim", "SEED": "7", "TIME": "2m", "RESULTS": "/r"}, labels: "pause", want: Settings{Cluster: "sim", Insists: true, Seed: 7, Time: 2 * time.Minute, Results: "/r"}},
		{name: "seed", env: map[string]string{"SEED": "seven"}, bad: true},
		{name: "time", env: map[string]string{"TIME": "30"}, bad: true},
		{name: "no time", env: map[string]string{"TIME": "0s"}, bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }, 9, c.labels)
			if (err != nil) != c.bad || !c.bad && got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestWithoutAnEngineTheSimulationPlaysUnlessSomebodyInsists(t *testing.T) {
	none, some := func(string) error { return errors.New("no engine") }, func(string) error { return nil }
	for _, c := range []struct {
		name  string
		s     Settings
		reach func(string) error
		want  string
		warns bool
	}{
		{name: "engine", s: Settings{Cluster: "docker"}, reach: some, want: "docker"},
		{name: "no engine", s: Settings{Cluster: "docker"}, reach: none, want: "sim", warns: true},
		{name: "no engine, insisting", s: Settings{Cluster: "docker", Insists: true}, reach: none, want: "docker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, warning := c.s.Settle(c.reach)
			if got.Cluster != c.want || strings.Contains(warning, "SIMULATED") != c.warns {
				t.Errorf("got %s and warning %q, want %s and warning %t", got.Cluster, warning, c.want, c.warns)
			}
		})
	}
}

func TestARunMayTakeLongerThanItsLoad(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 8*time.Minute + 10*time.Second, "2m": 10 * time.Minute, "soon": 8 * time.Minute} {
		if got := Limit(func(string) (string, bool) { return value, true }); got != want {
			t.Errorf("TIME=%s: got %v, want %v", value, got, want)
		}
	}
}
