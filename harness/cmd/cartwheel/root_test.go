package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cartwheel runs the command with an environment.
func cartwheel(env map[string]string, args ...string) (code int, out, stderr string) {
	var o, e bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	code = run(context.Background(), args, lookup, &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.jsonl")
	garbage := filepath.Join(dir, "garbage.jsonl")
	damaged := filepath.Join(dir, "damaged")
	if err := os.Mkdir(damaged, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		empty: "", garbage: "{\n{\n", filepath.Join(damaged, "history.jsonl"): "", filepath.Join(damaged, "verdict.json"): `{"plan":`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		says string // on either output
	}{
		{name: "help", args: []string{"help"}, code: exitValid, says: "Exit codes"},
		{name: "version", args: []string{"version"}, code: exitValid, says: "cartwheel"},
		{name: "nothing", code: exitValid, says: "Available Commands"},
		{name: "no such command", args: []string{"tset"}, code: exitUsage, says: `no command "tset"`},
		{name: "no such flag", args: []string{"test", "--tmie", "1s"}, code: exitUsage, says: "unknown flag"},
		{name: "flag out of form", args: []string{"test", "--time", "soon"}, code: exitUsage, says: "invalid duration"},
		{name: "environment out of form", env: map[string]string{"CARTWHEEL_TIME": "soon"}, args: []string{"test"}, code: exitUsage, says: "CARTWHEEL_TIME"},
		{name: "no such workload", args: []string{"test", "--workload", "bank"}, code: exitUsage, says: "there is no workload \"bank\", only cart"},
		{name: "no such nemesis", args: []string{"test", "--nemesis", "partition,flood"}, code: exitUsage, says: `nemesis "flood"`},
		{name: "nemesis by environment", env: map[string]string{"CARTWHEEL_NEMESIS": "flood"}, args: []string{"test"}, code: exitUsage, says: `nemesis "flood"`},
		{name: "flag over environment", env: map[string]string{"CARTWHEEL_NEMESIS": "flood"}, args: []string{"test", "--nemesis", "drought"}, code: exitUsage, says: `nemesis "drought"`},
		{name: "no such mutant", args: []string{"test", "--cluster", "sim", "--mutant", "M00"}, code: exitUsage, says: "there is no mutant \"M00\": docs/DETECTION.md lists them"},
		{name: "two bugs", args: []string{"test", "--mutant", "M14", "--overlay", "x.json"}, code: exitUsage, says: "which bug"},
		{name: "gRPC twice", args: []string{"test", "--cluster", "docker", "--grpc"}, code: exitUsage, says: "gRPC anyway"},
		{name: "two tiers", args: []string{"sim", "--grpc", "--ties"}, code: exitUsage, says: "tiers of their own"},
		{name: "no runs", args: []string{"test", "--count", "0"}, code: exitUsage, says: "--count"},
		{name: "one history again", args: []string{"test", "--count", "2", "--cluster", "sim"}, code: exitUsage, says: "a seed is one history"},
		{name: "no results", args: []string{"coverage", empty}, code: exitUsage, says: "coverage"},
		{name: "no nodes", args: []string{"test", "--nodes", "0"}, code: exitUsage, says: "--nodes"},
		{name: "no time", args: []string{"test", "--time", "0s"}, code: exitUsage, says: "--time"},
		{name: "where to look", args: []string{"sim", "--seeds", "0"}, code: exitUsage, says: "see: cartwheel sim --help"},
		{name: "no such cluster", args: []string{"test", "--cluster", "moon"}, code: exitUsage, says: `cluster "moon"`},
		{name: "packets of a simulation", args: []string{"test", "--cluster", "sim", "--capture"}, code: exitUsage, says: "a simulation has no packets"},
		{name: "packets of a simulation, chosen", args: []string{"test", "--cluster", "sim", "--capture=udp"}, code: exitUsage, says: "trace.jsonl"},
		{name: "packets by environment", env: map[string]string{"CARTWHEEL_CAPTURE": "udp"}, args: []string{"test", "--cluster", "sim"}, code: exitUsage, says: "trace.jsonl"},
		{name: "no filter", args: []string{"test", "--capture="}, code: exitUsage, says: "leave the = out"},
		{name: "filter without =", args: []string{"test", "--capture", "udp"}, code: exitUsage, says: "--capture='udp'"},
		{name: "too large a quorum", args: []string{"test", "--w", "6"}, code: exitUsage, says: "w 6"},
		{name: "no such schedule", args: []string{"test", "--schedule", filepath.Join(dir, "none")}, code: exitUsage, says: "no such file"},
		{name: "check nothing", args: []string{"check"}, code: exitUsage, says: "check takes one"},
		{name: "check what is not there", args: []string{"check", filepath.Join(dir, "none")}, code: exitUsage, says: "no such file"},
		{name: "what to check instead", args: []string{"check", filepath.Join(dir, "none")}, code: exitUsage, says: "results/latest"},
		{name: "what to replay instead", args: []string{"replay", filepath.Join(dir, "none")}, code: exitUsage, says: "results/latest"},
		{name: "serve a folder that is no flag", args: []string{"serve", "results"}, code: exitUsage, says: "--results results"},
		{name: "no seed", args: []string{"sim", "--seeds", "0"}, code: exitUsage, says: "--seeds 0"},
		{name: "check without a plan", args: []string{"check", empty}, code: exitUsage, says: "name its workload"},
		{name: "check an empty history", args: []string{"check", "--workload", "cart", empty}, code: exitUnknown, says: "the plan is not known"},
		{name: "check garbage", args: []string{"check", "--workload", "cart", garbage}, code: exitUsage, says: "line 1"},
		{name: "check a damaged verdict", args: []string{"check", damaged}, code: exitUsage, says: "verdict.json is damaged"},
		{name: "replay a damaged verdict", args: []string{"replay", damaged}, code: exitUsage, says: "verdict.json is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, stderr := cartwheel(c.env, c.args...)
			if code != c.code {
				t.Errorf("got exit code %d, want %d; stderr: %s", code, c.code, stderr)
			}
			if !strings.Contains(out+stderr, c.says) {
				t.Errorf("got %q and %q, want %q in one of them", out, stderr, c.says)
			}
		})
	}
}

func TestNewSeedsDifferAndCanBeTyped(t *testing.T) {
	seen := make(map[uint64]bool)
	for range 8 {
		seed, err := newSeed()
		if err != nil {
			t.Fatal(err)
		}
		if seed >= 1<<32 {
			t.Errorf("got %d, want at most ten digits", seed)
		}
		seen[seed] = true
	}
	if len(seen) < 7 {
		t.Errorf("got %d different seeds of 8", len(seen))
	}
}
