package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/harness"
	"cartwheel/store/storage"
)

func open(t *testing.T, m *Mount) storage.KV {
	t.Helper()
	kv, err := storage.OpenPebble(storage.PebbleOptions{FS: m.FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	return m.Wrap(kv)
}

func set(kv storage.KV, key, value string, sync bool) error {
	var b storage.Batch
	b.Set([]byte(key), []byte(value))
	return kv.Apply(&b, sync)
}

func contents(t *testing.T, kv storage.KV) (keys []string) {
	t.Helper()
	if err := kv.Scan([]byte("a"), []byte("z"), func(k, v []byte) bool {
		keys = append(keys, fmt.Sprintf("%s=%s", k, v))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

func closeKV(t *testing.T, kv storage.KV) {
	t.Helper()
	if err := kv.Close(); err != nil {
		t.Error(err)
	}
}

func TestACrashLosesWhatWasNotSyncedAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Name: "n1"})
		kv := open(t, d.Mount())
		for _, w := range []struct {
			key  string
			sync bool
		}{{"a", true}, {"b", true}, {"c", false}, {"d", false}} {
			if err := set(kv, w.key, "1", w.sync); err != nil {
				t.Fatal(err)
			}
		}
		d.Crash()
		if err := set(kv, "e", "1", true); !errors.Is(err, ErrDead) {
			t.Errorf("a dead life wrote: %v", err)
		}
		if _, _, err := kv.Get([]byte("a")); !errors.Is(err, ErrDead) {
			t.Errorf("a dead life read: %v", err)
		}
		closeKV(t, kv)
		again := open(t, d.Mount())
		defer closeKV(t, again)
		if got, want := contents(t, again), []string{"a=1", "b=1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestACleanStopKeepsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{})
		kv := open(t, d.Mount())
		if err := set(kv, "a", "1", false); err != nil {
			t.Fatal(err)
		}
		closeKV(t, kv)
		again := open(t, d.Mount())
		defer closeKV(t, again)
		if got := contents(t, again); !slices.Equal(got, []string{"a=1"}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestACrashMeetsWritesOnBothSidesOfTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Seed: 1})
		kv := open(t, d.Mount())
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if err := set(kv, fmt.Sprintf("k%02d", i), "1", true); err != nil && !errors.Is(err, ErrDead) {
					t.Error(err)
				}
			})
		}
		time.Sleep(20 * time.Microsecond) // none is acknowledged yet
		d.Crash()
		begin := time.Now()
		wg.Wait()
		if !time.Now().Equal(begin) {
			t.Error("the dead took their time")
		}
		closeKV(t, kv)
		again := open(t, d.Mount())
		defer closeKV(t, again)
		if n := len(contents(t, again)); n < 10 || n > 30 {
			t.Errorf("%d of 40 unacknowledged writes survived, want about half", n)
		}
	})
}

func TestOperationsTakeVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{})
		kv := open(t, d.Mount())
		defer closeKV(t, kv)
		took := func(f func()) time.Duration {
			begin := time.Now()
			f()
			return time.Since(begin)
		}
		write := took(func() { _ = set(kv, "a", "1", true) })
		read := took(func() { _, _, _ = kv.Get([]byte("a")) })
		look := took(func() { contents(t, kv) })
		if write < 50*time.Microsecond || write >= 3*time.Millisecond {
			t.Errorf("a write took %v", write)
		}
		for _, d := range []time.Duration{read, look} {
			if d < 10*time.Microsecond || d >= 200*time.Microsecond {
				t.Errorf("a read took %v", d)
			}
		}
		disturb(t, d, harness.DiskFault{Slow: time.Second})
		if slow := took(func() { _, _, _ = kv.Get([]byte("a")) }); slow < time.Second {
			t.Errorf("a slow disk's read took %v", slow)
		}
	})
}

// What a bad disk brings differs from what was written in one bit at most, some of the time,
// and what is on disk is untouched.
func TestReadsOfABadDiskBringWrongBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Seed: 5})
		kv := open(t, d.Mount())
		defer closeKV(t, kv)
		if err := set(kv, "a", "value", true); err != nil {
			t.Fatal(err)
		}
		wrong := func(reads int) (n int) {
			t.Helper()
			for range reads {
				got, found, err := kv.Get([]byte("a"))
				if err != nil || !found || len(got) != len("value") {
					t.Fatalf("got %q, %v, %v", got, found, err)
				}
				flipped := 0
				for i, b := range got {
					flipped += bits.OnesCount8(b ^ "value"[i])
				}
				if flipped > 1 {
					t.Fatalf("%d bits are wrong", flipped)
				}
				n += flipped
			}
			return n
		}
		disturb(t, d, harness.DiskFault{BitFlips: 0.5})
		if n := wrong(100); n < 30 || n > 70 || d.Disturbed() != uint64(n) {
			t.Errorf("%d of 100 reads were wrong, %d counted, want about half", n, d.Disturbed())
		}
		scans := map[string]bool{}
		for range 20 {
			scans[contents(t, kv)[0]] = true
		}
		if len(scans) < 5 {
			t.Errorf("scans brought %v", scans)
		}
		disturb(t, d, harness.DiskFault{})
		if n := wrong(20); n > 0 {
			t.Errorf("%d reads of a healed disk were wrong", n)
		}
	})
}

// What is written as a hint has one bit wrong for good, some of the time, and nothing else has.
func TestHintsAreWrittenWrongForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Seed: 5})
		kv := open(t, d.Mount())
		defer closeKV(t, kv)
		disturb(t, d, harness.DiskFault{BadHints: 0.5})
		const each = 100
		for i := range each {
			for _, kind := range []string{"h/", "d/"} {
				if err := set(kv, fmt.Sprintf("%s%d", kind, i), "value", true); err != nil {
					t.Fatal(err)
				}
			}
		}
		hit := d.Disturbed()
		disturb(t, d, harness.DiskFault{})
		wrong := map[string]uint64{}
		for _, at := range contents(t, kv) {
			if value := at[len(at)-len("value"):]; value != "value" {
				wrong[at[:2]]++
			}
		}
		if n := wrong["h/"]; n < each/4 || n > 3*each/4 || wrong["d/"] != 0 || hit != n {
			t.Errorf("wrong are %v, %d operations were hit: want about half of %d hints and no record", wrong, hit, each)
		}
	})
}

func TestInjectedErrorsLeaveWritesUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{Seed: 5})
		kv := open(t, d.Mount())
		defer closeKV(t, kv)
		disturb(t, d, harness.DiskFault{WriteErrors: 1, ReadErrors: 1})
		if _, _, err := kv.Get([]byte("a")); !errors.Is(err, ErrIO) {
			t.Errorf("a read gave %v", err)
		}
		for i := range 40 {
			if err := set(kv, fmt.Sprintf("k%02d", i), "1", true); !errors.Is(err, ErrIO) {
				t.Errorf("a write gave %v", err)
			}
		}
		if hit := d.Disturbed(); hit != 41 {
			t.Errorf("%d operations were hit, want 41", hit)
		}
		disturb(t, d, harness.DiskFault{})
		if n := len(contents(t, kv)); n < 10 || n > 30 {
			t.Errorf("%d of 40 failed writes took effect, want about half", n)
		}
	})
}

func TestADiskThatTakesNothingKeepsWhatItHas(t *testing.T) {
	for want, fault := range map[error]harness.DiskFault{ErrFull: {Full: true}, ErrRO: {ReadOnly: true}} {
		synctest.Test(t, func(t *testing.T) {
			d := New(Options{})
			kv := open(t, d.Mount())
			defer closeKV(t, kv)
			if err := set(kv, "a", "1", true); err != nil {
				t.Fatal(err)
			}
			disturb(t, d, fault)
			for i := range 20 {
				if err := set(kv, fmt.Sprintf("k%02d", i), "1", true); !errors.Is(err, want) {
					t.Errorf("%+v: a write gave %v", fault, err)
				}
			}
			if got := contents(t, kv); !slices.Equal(got, []string{"a=1"}) || d.Disturbed() != 20 {
				t.Errorf("%+v: %v, %d operations hit", fault, got, d.Disturbed())
			}
			disturb(t, d, harness.DiskFault{})
			if err := set(kv, "a", "2", true); err != nil {
				t.Errorf("%+v, healed: %v", fault, err)
			}
		})
	}
}

// Whoever asks first, equal operations take equal time.
func TestDelaysDependOnNamesAlone(t *testing.T) {
	life := func(name string, order []int) []byte {
		var mu sync.Mutex
		ends := make([]string, len(order))
		synctest.Test(t, func(t *testing.T) {
			d := New(Options{Seed: 9, Name: name})
			kv := open(t, d.Mount())
			begin := time.Now()
			var wg sync.WaitGroup
			for _, i := range order {
				wg.Go(func() {
					_ = set(kv, fmt.Sprintf("k%02d", i), "1", true)
					_, _, _ = kv.Get([]byte(fmt.Sprintf("k%02d", i)))
					mu.Lock()
					defer mu.Unlock()
					ends[i] = time.Since(begin).String()
				})
			}
			wg.Wait()
			closeKV(t, kv)
		})
		return fmt.Append(nil, ends)
	}
	a, b, c := life("n1", []int{0, 1, 2, 3, 4, 5}), life("n1", []int{5, 3, 1, 4, 2, 0}), life("n2", []int{0, 1, 2, 3, 4, 5})
	if !bytes.Equal(a, b) {
		t.Errorf("the order of asking shows:\n%s\n%s", a, b)
	}
	if bytes.Equal(a, c) {
		t.Error("two disks are equally fast")
	}
}

func disturb(t *testing.T, d *Disk, f harness.DiskFault) {
	t.Helper()
	if _, err := d.Disturb(f); err != nil {
		t.Fatal(err)
	}
}

// Damage at rest is where the fault says, stays over a loss of power, and is undone unless somebody else
// has written the file since.
func TestFilesAtRestAreDamagedAndMadeWhole(t *testing.T) {
	write := func(fs vfs.FS, name, text string) {
		t.Helper()
		if err := errors.Join(fs.MkdirAll("a/b", 0o755), put(fs, name, []byte(text))); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"a", ""} { // or a loss of power takes them away
			d, err := fs.OpenDir(dir)
			if err = errors.Join(err, d.Sync(), d.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := New(Options{Name: "n1"})
	if _, err := d.Disturb(harness.DiskFault{Rotten: 1}); err == nil || d.Disturbed() != 0 || d.Damaged() {
		t.Errorf("an empty disk was damaged: %v", err)
	}
	write(d.fs, "a/1.log", "0123456789")
	write(d.fs, "a/b/2.sst", "0123456789")
	write(d.fs, "a/MANIFEST", "not to be touched")
	for _, tt := range []struct {
		fault harness.DiskFault
		file  string
		want  string
	}{
		{harness.DiskFault{Rotten: 0.001}, "a/1.log", "1123456789"},
		{harness.DiskFault{Truncated: 0.15, File: 0.4}, "a/1.log", "012345678"},
		{harness.DiskFault{Truncated: 1, File: 0.5}, "a/b/2.sst", ""},
		{harness.DiskFault{Rotten: 1, File: 1}, "a/b/2.sst", "012345678;"},
	} {
		file, err := d.Disturb(tt.fault)
		d.Crash()
		got, cerr := content(d.fs, tt.file)
		if file != tt.file || string(got) != tt.want || errors.Join(err, cerr) != nil || d.Disturbed() != 1 || !d.Damaged() {
			t.Errorf("%+v: %q is %q, %v, %v; want %q to be %q", tt.fault, file, got, err, cerr, tt.file, tt.want)
		}
		disturb(t, d, harness.DiskFault{})
		d.Crash()
		if got, err := content(d.fs, tt.file); string(got) != "0123456789" || err != nil || d.Damaged() {
			t.Errorf("%+v: made whole it is %q, %v", tt.fault, got, err)
		}
	}
	disturb(t, d, harness.DiskFault{Rotten: 1, File: 1})
	write(d.fs, "a/b/2.sst", "new")
	disturb(t, d, harness.DiskFault{})
	if got, err := content(d.fs, "a/b/2.sst"); string(got) != "new" || err != nil {
		t.Errorf("what the store has written since is %q, %v", got, err)
	}
}
