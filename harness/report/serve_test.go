package report

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

// store keeps a run's folder.
func store(t *testing.T, dir string, res harness.Result) {
	t.Helper()
	data, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"verdict.json": string(data), "index.html": "the report of " + dir, "history.jsonl": "{}\n"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheIndexListsRunsAndTheirFilesAreServed(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "results")
	at := time.Date(2026, 11, 22, 21, 4, 9, 0, time.UTC)
	store(t, filepath.Join(root, "a"), harness.Result{
		Plan:    harness.Plan{Suite: "cart", Workload: "cart", Nemesis: "partition", World: "sim", Seed: 7, Time: 30 * time.Second},
		Verdict: harness.Valid, Reasons: []string{"nothing was <found>"}, Started: at, Stats: harness.Stats{OK: 1200, Fail: 3, Info: 31},
	})
	store(t, filepath.Join(root, "hunt", "M14", "b"), harness.Result{
		Plan: harness.Plan{Suite: "M14", Workload: "cart", World: "docker", Seed: 9}, Verdict: harness.Invalid, Started: at.Add(time.Hour),
	})
	store(t, filepath.Join(root, "c"), harness.Result{})
	if err := os.WriteFile(filepath.Join(root, "c", "verdict.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"latest": "a", "out": "../secret"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Handler(root)
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string) (int, string, http.Header) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		return w.Code, w.Body.String(), w.Header()
	}
	_, page, _ := get("/")
	for _, want := range []string{
		`href="a/"`, `href="hunt/M14/b/"`, `href="c/"`, "partition", "2026-11-22 21:04:09", "nothing was &lt;found&gt;", thousands(1234), "unexpected end of JSON",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the index has no %q", want)
		}
	}
	if strings.Index(page, `href="hunt/M14/b/"`) > strings.Index(page, `href="a/"`) || strings.Contains(page, `href="latest/"`) {
		t.Error("the index is not of each run once, the newest first")
	}
	if _, only, _ := get("/?verdict=invalid"); strings.Contains(only, `href="a/"`) || !strings.Contains(only, `href="hunt/M14/b/"`) {
		t.Error("runs of other verdicts than the wanted are listed, or that is not")
	}
	for url, want := range map[string]string{"/a/": "the report of", "/latest/": "the report of", "/a/history.jsonl": "{}"} {
		if code, body, head := get(url); code != http.StatusOK || !strings.Contains(body, want) || head.Get("Cache-Control") == "" {
			t.Errorf("%s: got %d, %q", url, code, body)
		}
	}
	if _, _, head := get("/a/history.jsonl"); !strings.HasPrefix(head.Get("Content-Type"), "text/plain") {
		t.Errorf("a history is served as %q", head.Get("Content-Type"))
	}
	for _, url := range []string{"/out", "/../secret", "/none/"} {
		if code, body, _ := get(url); code == http.StatusOK || strings.Contains(body, "secret") && !strings.Contains(body, "/secret") {
			t.Errorf("%s: got %d, %q", url, code, body)
		}
	}
}

func TestAFolderWithoutRunsSaysSo(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No runs here") {
		t.Errorf("got %d, %q", w.Code, w.Body)
	}
	if _, err := Handler(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there is shown")
	}
}
