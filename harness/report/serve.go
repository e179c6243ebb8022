package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

const (
	runsMax   = 2000 // the newest are listed
	depthMax  = 3    // folders between the results and a run: a hunt for bugs has one a trial
	staleTime = "no-cache"
)

// A listing is the page of all runs.
type listing struct {
	Root   string
	Runs   []listed
	Counts []share // by verdict
	Only   string  // the verdict that is asked for; empty: all
	Left   int     // older runs that are not listed
}

type share struct {
	Verdict string
	Runs    int
}

// A listed run is a line of it.
type listed struct {
	harness.Result
	Link     string // of its report, or of its folder
	Headline string
}

// Handler shows a folder of results: an index of its runs at the root, and their files
// below. It reads the folder at each request, follows no link that leads out of it, and is safe
// for concurrent use.
func Handler(results string) (http.Handler, error) {
	root, err := os.OpenRoot(results)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	page, err := parse("runs.html")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	files := http.FileServerFS(root.FS())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		runs, err := runsIn(root.FS())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var buf bytes.Buffer
		if err := page.Execute(&buf, list(results, runs, r.FormValue("verdict"))); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", staleTime)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(buf.Bytes()) // the browser may be gone
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", staleTime)
		if strings.HasSuffix(r.URL.Path, ".jsonl") || strings.HasSuffix(r.URL.Path, ".log") {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8") // to be looked at, not downloaded
		}
		files.ServeHTTP(w, r)
	})
	return mux, nil
}

// Stored finds the results of all runs in a folder of results, newest first. What is damaged
// is unknown.
func Stored(results string) ([]harness.Result, error) {
	runs, err := runsIn(os.DirFS(results))
	if err != nil {
		return nil, err
	}
	all := make([]harness.Result, len(runs))
	for i, r := range runs {
		all[i] = r.Result
	}
	return all, nil
}

// runsIn finds the runs of a folder, newest first. One that is under way or was killed is among them as
// unknown, as its folder says from the start, and so is one whose verdict is damaged.
func runsIn(results fs.FS) ([]listed, error) {
	var runs []listed
	err := fs.WalkDir(results, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil: // it went away meanwhile
			return nil
		case d.IsDir() && strings.Count(name, "/") >= depthMax:
			return fs.SkipDir
		case d.IsDir() || d.Name() != "verdict.json":
			return nil
		}
		run := listed{Link: path.Dir(name) + "/"}
		data, err := fs.ReadFile(results, name)
		if err == nil {
			err = json.Unmarshal(data, &run.Result)
		}
		if err != nil {
			run.Result = harness.Result{Verdict: harness.Unknown, Reasons: []string{err.Error()}}
		}
		if len(run.Reasons) > 0 {
			run.Headline = run.Reasons[0]
		}
		if run.Plan.Suite == "" {
			run.Plan.Suite = path.Dir(name)
		}
		runs = append(runs, run)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for runs: %w", err)
	}
	slices.SortFunc(runs, func(a, b listed) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Link, b.Link))
	})
	return runs, nil
}

// list makes the page's data of the runs that are asked for.
func list(root string, runs []listed, only string) listing {
	l := listing{Root: root, Only: only}
	for _, v := range []harness.Verdict{harness.Invalid, harness.Unknown, harness.Valid} {
		n := 0
		for _, r := range runs {
			if r.Verdict == v {
				n++
			}
		}
		l.Counts = append(l.Counts, share{string(v), n})
	}
	if only != "" {
		runs = slices.DeleteFunc(slices.Clone(runs), func(r listed) bool { return string(r.Verdict) != only })
	}
	l.Left = max(0, len(runs)-runsMax)
	l.Runs = runs[:len(runs)-l.Left]
	return l
}

// When tells when a run began, in UTC as its folder's name does.
func (r listed) When() string {
	if r.Started.IsZero() {
		return "?"
	}
	return r.Started.UTC().Format(time.DateTime)
}

// Ops counts the operations that completed.
func (r listed) Ops() int { return r.Stats.OK + r.Stats.Fail + r.Stats.Info }

// parse reads a page's template.
func parse(name string) (*template.Template, error) {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("read style: %w", err)
	}
	t, err := template.New(name).Funcs(template.FuncMap{
		"style":     func() template.CSS { return template.CSS(style) },
		"short":     short,
		"instant":   instant,
		"thousands": thousands,
		"join":      strings.Join,
		"clip":      clip,
	}).ParseFS(files, name)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return t, nil
}
