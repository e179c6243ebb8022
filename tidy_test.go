package cartwheel

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the table of docs/ARCHITECTURE.md: every package of ours and the packages
// of ours that it may import. "x/..." stands for x and all below it. A package that is
// not here fails: place it before you write it.
var layers = map[string][]string{
	".": {},

	"store":                      {},
	"store/version":              {"store"},
	"store/version/ancestor":     {"store", "store/version"},
	"store/ring":                 {"store"},
	"store/ring/history":         {"store", "store/ring"},
	"store/ring/strategy":        {"store", "store/ring"},
	"store/placement":            {"store", "store/ring/history"},
	"store/quorum":               {"store"},
	"store/merkle":               {"store"},
	"store/clock":                {},
	"store/detector":             {"store"},
	"store/worker":               {},
	"store/admission":            {"store"},
	"store/storage":              {"store", "store/version", "store/ring", "store/clock", "store/merkle"},
	"store/hint":                 {"store", "store/version", "store/ring", "store/ring/history", "store/storage"},
	"store/repair":               {"store", "store/version", "store/ring", "store/ring/history", "store/storage", "store/merkle"},
	"store/coordinator":          {"store", "store/version", "store/ring", "store/ring/history", "store/quorum", "store/storage", "store/clock", "store/worker"},
	"store/membership":           {"store", "store/ring", "store/ring/history", "store/placement"},
	"store/gossip":               {"store", "store/ring/history"},
	"store/transfer":             {"store", "store/version", "store/ring", "store/ring/history", "store/storage", "store/merkle", "store/repair"},
	"store/reap":                 {"store", "store/ring", "store/ring/history", "store/storage", "store/merkle", "store/clock"},
	"store/storepb":              {},
	"store/transport":            {"store", "store/version", "store/ring", "store/ring/history", "store/storage", "store/coordinator", "store/storepb", "store/merkle", "store/gossip", "store/membership", "store/transfer", "store/reap"},
	"store/transport/trunk":      {"store/storepb", "store/worker"},
	"store/crdt":                 {"store", "store/version"},
	"store/credentials":          {"store"},
	"store/credentials/certtest": {"store/credentials"},
	"store/client":               {"store", "store/version", "store/storage", "store/transport", "store/transport/trunk", "store/storepb", "store/crdt", "store/clock", "store/ring", "store/membership", "store/ring/history"},
	"store/metrics":              {"store", "store/coordinator", "store/transport"},
	"store/node":                 {"store/..."},
	"store/bench":                {"store", "store/client", "store/transport"},
	"store/cmd/cartwheeld":       {"store/..."},
	"store/cmd/cartwheelctl":     {"store/..."},

	"harness":                     {},
	"harness/history":             {"harness"},
	"harness/history/edn":         {"harness", "harness/history"},
	"harness/generator":           {"harness"},
	"harness/generator/gentest":   {"harness", "harness/generator"},
	"harness/core":                {"harness", "harness/history"},
	"harness/runner":              {"harness", "harness/core", "harness/history", "harness/generator"},
	"harness/checker":             {"harness", "harness/core", "harness/history"},
	"harness/checker/child":       {"harness/checker"},
	"harness/cluster/clustertest": {"harness"},
	"harness/cluster/fake":        {"harness"},
	"harness/cluster/docker":      {"harness", "harness/cluster/clustertest", "harness/cluster/docker/pcap", "harness/cluster/docker/shaper"},
	"harness/trace":               {"harness"},
	"harness/cluster/sim":         {"harness", "harness/cluster/...", "harness/runner", "harness/history", "harness/trace", "store/..."},
	"harness/cluster/sim/fate":    {},
	"harness/cluster/sim/bubble":  {},
	"harness/cluster/sim/wire":    {"harness", "harness/cluster/sim/fate"},
	"harness/cluster/sim/disk":    {"harness", "harness/cluster/sim/fate", "store/storage"},
	"harness/cluster/sim/seeds":   {},
	"harness/target/cartwheel":    {"harness", "store/..."},
	"harness/mutation":            {"harness", "harness/suite"},
	"harness/anomaly":             {"harness"},
	"harness/report":              {"harness", "harness/history", "harness/trace"},
	"harness/paper":               {"harness", "harness/cluster/sim", "harness/history", "harness/runner", "harness/suite", "harness/target/cartwheel", "store/ring", "store/ring/strategy", "store/version/ancestor"},
	"harness/shrink":              {"harness"},
	"harness/shrink/trial":        {"harness", "harness/shrink", "harness/runner", "harness/cluster/sim", "harness/target/cartwheel"},
	"harness/suite":               {"harness/...", "nemesis/...", "workloads/..."},
	"harness/cmd/cartwheel":       {"harness/...", "nemesis/...", "workloads/..."},

	"harness/cluster/docker/pcap":   {},
	"harness/cluster/docker/shaper": {"harness"},
	"harness/cmd/shaper":            {"harness/cluster/docker/shaper"},

	"nemesis":          {"harness", "nemesis/grudge", "nemesis/schedule"},
	"nemesis/grudge":   {"harness"},
	"nemesis/schedule": {"harness", "nemesis/grudge"},

	"workloads/cart":      {"harness", "harness/generator", "harness/checker"},
	"workloads/counter":   {"harness", "harness/generator", "harness/checker"},
	"workloads/register":  {"harness", "harness/generator", "harness/checker"},
	"workloads/session":   {"harness", "harness/generator", "harness/checker"},
	"workloads/spec":      {"harness", "harness/report", "harness/runner", "harness/suite"},
	"workloads/tombstone": {},
}

// pure packages compute: no context, goroutine, clock, global random, I/O or logger.
// The harness's checkers may take a context, which is their budget, and run a worker pool.
var pure = []string{
	"store/version", "store/version/ancestor", "store/ring", "store/ring/history", "store/ring/strategy", "store/quorum", "store/merkle", "store/crdt",
	"harness/generator", "harness/generator/gentest", "nemesis/grudge", "nemesis/schedule",
}

// A call that some part of the tree may not make.
type ban struct {
	call   string // package.Func as written
	except []string
	reason string
}

var bans = []ban{
	{"time.Now", []string{"store/clock", "store/cmd", "store/bench", "harness", "workloads", "nemesis"}, "take a clock.Clock, or a monotonic func() time.Duration"},
	{"time.Since", []string{"store/clock", "store/cmd", "store/bench", "harness", "workloads", "nemesis"}, "take a monotonic func() time.Duration"},
	{"context.TODO", nil, "pass the caller's context"},
	{"slog.Default", nil, "take a *slog.Logger in Options"},
	{"log.Fatal", nil, "return an error"},
	{"log.Fatalf", nil, "return an error"},
	{"log.Printf", nil, "use the injected slog.Logger"},
	{"os.Exit", []string{"store/cmd", "harness/cmd"}, "return an error; main exits"},
	{"os.Getenv", []string{"store/cmd", "harness/cmd"}, "only commands read the environment"},
}

const (
	fileLinesMax = 500
	funcLinesMax = 70
)

func TestTreeKeepsTheHouseRules(t *testing.T) {
	packages := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "bin" || d.Name() == "results" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		packages[filepath.ToSlash(filepath.Dir(file))] = true
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, complaint := range inspect(t, filepath.ToSlash(file), src) {
			t.Error(complaint)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range packages {
		if _, ok := layers[p]; !ok {
			t.Errorf("%s: not in the layer table of tidy_test.go; say there what it may import", p)
		}
		if _, err := os.Stat(filepath.Join(filepath.FromSlash(p), "doc.go")); err != nil && !strings.Contains(p, "/cmd/") {
			t.Errorf("%s: has no doc.go", p)
		}
	}
	for p := range layers {
		if !packages[p] {
			t.Errorf("%s: in the layer table but not in the tree", p)
		}
	}
}

// inspect returns what is wrong with one file.
func inspect(t *testing.T, file string, src []byte) (complaints []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.ParseComments)
	if err != nil {
		return []string{err.Error()}
	}
	if ast.IsGenerated(f) {
		return nil
	}
	in, test := path.Dir(file), strings.HasSuffix(file, "_test.go")
	complain := func(at token.Pos, format string, args ...any) {
		complaints = append(complaints, fmt.Sprintf("%s: %s", fset.Position(at), fmt.Sprintf(format, args...)))
	}
	for _, imp := range f.Imports {
		name, _ := strconv.Unquote(imp.Path.Value)
		if why := refuse(in, name, test); why != "" {
			complain(imp.Pos(), "%s", why)
		}
	}
	if test {
		return complaints
	}
	if n := strings.Count(string(src), "\n"); n > fileLinesMax {
		complain(f.Package, "%d lines; split by idea, %d at most", n, fileLinesMax)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1; lines > funcLinesMax {
				complain(n.Pos(), "%s has %d lines, %d at most", n.Name.Name, lines, funcLinesMax)
			}
			if n.Name.Name == "init" && n.Recv == nil {
				complain(n.Pos(), "no init functions")
			}
			if n.Name.IsExported() && n.Doc == nil && in != "." && receiverExported(n) {
				complain(n.Pos(), "%s is exported and has no comment", n.Name.Name)
			}
		case *ast.GoStmt:
			complain(n.Pos(), "naked go statement: who waits for it? use WaitGroup.Go or an errgroup")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil {
				if why := banned(in, x.Name+"."+n.Sel.Name); why != "" {
					complain(n.Pos(), "%s.%s: %s", x.Name, n.Sel.Name, why)
				}
			}
		}
		return true
	})
	return complaints
}

// receiverExported keeps methods of unexported types out: their contract is the interface's.
func receiverExported(n *ast.FuncDecl) bool {
	if n.Recv == nil {
		return true
	}
	typ := n.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if gen, ok := typ.(*ast.IndexExpr); ok {
		typ = gen.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// refuse says why a package may not import another, or nothing. Tests may import what
// their package may not, save that the store's never see the harness.
func refuse(from, name string, test bool) string {
	ours := name == "cartwheel" || strings.HasPrefix(name, "cartwheel/")
	to := strings.TrimPrefix(name, "cartwheel/")
	switch {
	case ours && under(from, "store") && !under(to, "store"):
		return fmt.Sprintf("the store does not know that it is tested: %s imports %s", from, to)
	case test:
		return ""
	case ours && !slices.ContainsFunc(layers[from], func(p string) bool {
		return p == to || strings.HasSuffix(p, "/...") && under(to, strings.TrimSuffix(p, "/..."))
	}):
		return fmt.Sprintf("the layer table does not let %s import %s", from, to)
	case name == "github.com/docker/docker/client" && from != "harness/cluster/docker":
		return "only harness/cluster/docker talks to an engine"
	case name == "math/rand" || name == "crypto/rand" && under(from, "store") && from != "store/client" && from != "store/credentials/certtest" && !under(from, "store/cmd"):
		return fmt.Sprintf("%s: randomness comes from a seed, given in Options", name)
	case slices.Contains(pure, from) && slices.Contains([]string{"context", "os", "net", "log/slog", "io", "sync"}, name):
		return fmt.Sprintf("%s is pure: no %s", from, name)
	}
	return ""
}

func banned(in, call string) string {
	for _, b := range bans {
		if b.call == call && !slices.ContainsFunc(b.except, func(p string) bool { return under(in, p) }) {
			return b.reason
		}
	}
	for _, f := range []string{"rand.Int", "rand.IntN", "rand.Float64", "rand.Shuffle", "rand.Perm", "rand.Uint64"} {
		if f == call {
			return "global randomness; take a *rand.Rand or a store.Rand"
		}
	}
	return ""
}

func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// The rules themselves are fed code that breaks them.
func TestRulesBite(t *testing.T) {
	long := "// F is long.\nfunc F() {\n" + strings.Repeat("\t_ = 1\n", funcLinesMax) + "}\n"
	for _, c := range []struct{ name, file, src, want string }{
		{"store imports harness", "store/ring/x.go", "import _ \"cartwheel/harness\"", "does not know that it is tested"},
		{"store test imports harness", "store/ring/x_test.go", "import _ \"cartwheel/harness\"", "does not know that it is tested"},
		{"side by side", "store/hint/x.go", "import _ \"cartwheel/store/coordinator\"", "layer table"},
		{"unplaced package", "store/novel/x.go", "import _ \"cartwheel/store\"", "layer table"},
		{"pure with context", "store/version/x.go", "import _ \"context\"", "is pure"},
		{"old random", "harness/runner/x.go", "import _ \"math/rand\"", "randomness"},
		{"global random", "nemesis/x.go", "import \"math/rand/v2\"\nvar _ = rand.IntN(3)", "global randomness"},
		{"engine elsewhere", "nemesis/x.go", "import _ \"github.com/docker/docker/client\"", "talks to an engine"},
		{"real clock", "store/hint/x.go", "import \"time\"\nvar _ = time.Now()", "clock.Clock"},
		{"exit", "store/node/x.go", "import \"os\"\nfunc f() { os.Exit(1) }", "return an error"},
		{"naked go", "store/node/x.go", "func f() { go f() }", "naked go"},
		{"init", "store/node/x.go", "func init() {}", "no init"},
		{"undocumented", "store/node/x.go", "func Exported() {}", "no comment"},
		{"long function", "store/node/x.go", long, "lines, 70 at most"},
		{"long file", "store/node/x.go", strings.Repeat("// why\n", fileLinesMax+1), "split by idea"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := inspect(t, c.file, []byte("package x\n"+c.src+"\n"))
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("got %q, want a complaint with %q", got, c.want)
			}
		})
	}
	if got := inspect(t, "store/clock/x.go", []byte("package x\nimport \"time\"\nvar _ = time.Now()\n")); len(got) > 0 {
		t.Errorf("clock may tell the time, got %q", got)
	}
}

var folder = regexp.MustCompile(`(?:^|[ (])([a-z][a-z0-9]*)/(?:[ ,;:)]|$)`)

// The layout in docs/ARCHITECTURE.md names every package in its place: by a line of its own, indented below that of the folder
// it is in, or within that folder's line.
func TestTheArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, layout, _ := strings.Cut(string(text), "\n## Layout and layers\n\n```\n")
	layout, _, _ = strings.Cut(layout, "\n```")
	named := foldersOf(layout)
	for _, p := range slices.Sorted(maps.Keys(layers)) {
		if p != "." && !named[p] {
			t.Errorf("%s: not in the layout of docs/ARCHITECTURE.md", p)
		}
	}
	for p := range named {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("the layout of docs/ARCHITECTURE.md names %s: %v", p, err)
		}
	}
}

func TestALayoutIsReadByItsIndentation(t *testing.T) {
	got := slices.Sorted(maps.Keys(foldersOf("a/   words, b/c d; e/ of that\n  f/  g/, h/: i\n    j/ k\nl/ m")))
	want := []string{"a", "a/e", "a/f", "a/f/g", "a/f/h", "a/f/j", "l"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// foldersOf returns the paths that a layout names. Each level is indented by two spaces.
func foldersOf(layout string) map[string]bool {
	named := map[string]bool{}
	var above []string // the folder of each level above the line
	for line := range strings.Lines(layout) {
		level := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		var here []string
		// The end of one match may be the beginning of the next.
		for _, m := range folder.FindAllStringSubmatch(strings.ReplaceAll(strings.TrimSpace(line), " ", "  "), -1) {
			here = append(here, m[1])
		}
		if len(here) == 0 || level > len(above) {
			continue
		}
		above = append(above[:level], here[0])
		dir := path.Join(above...)
		named[dir] = true
		for _, inside := range here[1:] {
			named[path.Join(dir, inside)] = true
		}
	}
	return named
}
