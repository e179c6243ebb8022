package storage

import (
	"context"
	"errors"
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
