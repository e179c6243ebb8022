package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
)

// A node is backed up while it serves, goes on, and is restored from the backup: it has what it had
// then, hints included, and is another actor, because it has issued numbers since.
func TestABackupIsRestoredAsAnotherActor(t *testing.T) {
	ctx := context.Background()
	d := newDisk("a")
	r := d.open(t)
	mustPut(t, r, "k", "", 1, nil)
	mustPut(t, r, "k", "b", 2, nil)
	backup, err := r.Backup(ctx, "monday")
	if err != nil || backup.Dir != "node/backups/monday" || backup.SizeBytes == 0 {
		t.Fatalf("got %+v, %v", backup, err)
	}
	later := mustPut(t, r, "k", "", 3, nil)
	before := r.Identity()
	for name, want := range map[string]error{"monday": store.ErrInvalid, "../up": store.ErrInvalid, "": store.ErrInvalid} {
		if _, err := r.Backup(ctx, name); !errors.Is(err, want) {
			t.Errorf("backup %q: %v", name, err)
		}
	}
	closeReplica(t, r)

	if err := RestoreBackup(d.fs, backup.Dir, "node"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("restored over data: %v", err)
	}
	if err := RestoreBackup(d.fs, "node", "elsewhere"); err != nil { // any node's directory that is closed will do
		t.Errorf("restore: %v", err)
	}
	if err := RestoreBackup(d.fs, backup.Dir, "again"); err != nil {
		t.Fatal(err)
	}
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{}) // it is all on disk
	open := func(life uint64) *Replica {
		t.Helper()
		r, err := Open(Options{FS: d.fs, Dir: "again", Self: "a", Rand: seeded(life), Clock: stopped{}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r = open(7)
	after := r.Identity()
	if after.Node == before.Node || after.Incarnation <= before.Incarnation {
		t.Errorf("identity %+v after %+v: want another node's", after, before)
	}
	got := mustGet(t, r, "k")
	if !got.HasWrite(writeID(1)) || !got.HasWrite(writeID(2)) || got.HasWrite(writeID(3)) {
		t.Errorf("restored %v", got)
	}
	// What it issues now does not stand in the way of what was issued after the backup.
	mustPut(t, r, "k", "", 4, nil)
	mustMerge(t, r, "k", "", later)
	if got := mustRecord(t, r, "k"); !got.HasWrite(writeID(3)) || !got.HasWrite(writeID(4)) || r.Stats().Amnesia > 0 {
		t.Errorf("after a write and a merge: %v, amnesia %d", got, r.Stats().Amnesia)
	}
	if check := mustCheck(t, r); check.Drift()+check.Damaged > 0 {
		t.Errorf("a check found %+v", check)
	}
	closeReplica(t, r)
	r = open(8)
	defer closeReplica(t, r)
	if r.Identity() != after {
		t.Errorf("identity %+v after a clean restart, want %+v still", r.Identity(), after)
	}
}

// A betweenFS does something while the hints are copied, before the data are.
type betweenFS struct {
	vfs.FS
	between func()
}

func (f *betweenFS) MkdirAll(dir string, perm os.FileMode) error {
	if path.Base(dir) == "hints" && f.between != nil {
		f.between()
	}
	return f.FS.MkdirAll(dir, perm)
}

// A sweep that settles between the copies of hints and of data would leave an old hint beside a history that knows of the
// sweep: whoever is given such a backup brings back what was deleted and collected.
func TestABackupHasHintsAndHistoryOfOneMoment(t *testing.T) {
	ctx := context.Background()
	fs := &betweenFS{FS: vfs.NewMem()}
	r, err := Open(Options{FS: fs, Dir: "node", Self: "a", Rand: seeded(1), Clock: stopped{}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeReplica(t, r)
	mustPut(t, r, "k", "b", 1, nil)
	copied := 0
	fs.between = func() {
		if copied++; copied > 1 {
			return
		}
		page, _, err := r.NextHints(ctx, "b", nil, 10)
		if err != nil || len(page) != 1 {
			t.Errorf("hints %v, %v", page, err)
			return
		}
		if dropped, err := r.DropHint(ctx, page[0]); !dropped || err != nil {
			t.Errorf("dropped %t, %v", dropped, err)
		}
		if err := r.KeepHistory(ctx, []byte("swept")); err != nil {
			t.Error(err)
		}
	}
	b, err := r.Backup(ctx, "swept")
	if err != nil || copied != 2 {
		t.Fatalf("copied %d times, %v", copied, err)
	}
	fs.between = nil
	if err := RestoreBackup(fs, b.Dir, "again"); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{FS: fs, Dir: "again", Self: "a", Rand: seeded(2), Clock: stopped{}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeReplica(t, again)
	targets, err := again.HintTargets(ctx)
	if h, herr := again.History(ctx); err != nil || herr != nil || len(targets) != 0 || string(h) != "swept" {
		t.Errorf("restored hints %v beside history %q, %v, %v", targets, h, err, herr)
	}
}

func TestABackupIsRefusedWhileTheHistoryKeepsChanging(t *testing.T) {
	ctx := context.Background()
	fs := &betweenFS{FS: vfs.NewMem()}
	r, err := Open(Options{FS: fs, Dir: "node", Self: "a", Rand: seeded(1), Clock: stopped{}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeReplica(t, r)
	copied := 0
	fs.between = func() {
		copied++
		if err := r.KeepHistory(ctx, fmt.Append(nil, copied)); err != nil {
			t.Error(err)
		}
	}
	b, err := r.Backup(ctx, "never")
	if !errors.Is(err, store.ErrWrongRing) || copied != backupTries {
		t.Errorf("copied %d times, %v", copied, err)
	}
	if _, err := fs.Stat(b.Dir); err == nil {
		t.Errorf("%s was left behind", b.Dir)
	}
	fs.between = nil
	if _, err := r.Backup(ctx, "never"); err != nil {
		t.Errorf("and then: %v", err)
	}
}
