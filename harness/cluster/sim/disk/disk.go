package disk

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/store/storage"
)

// Errors of a wrapped KV.
var (
	ErrDead = errors.New("the machine has lost power") // of every call of a life that is over
	ErrIO   = errors.New("input/output error")         // injected, as the others are
	ErrFull = errors.New("no space left on device")
	ErrRO   = errors.New("read-only file system")
)

// Options say how fast a disk is when no fault is in force.
type Options struct {
	Seed     uint64        // of every delay and injected error
	Name     string        // the node's; tells the disks of a cluster apart
	ReadMin  time.Duration // fastest read; default 10us
	ReadMax  time.Duration // slowest read; default 200us, mostly from a cache
	WriteMin time.Duration // fastest write; default 50us
	WriteMax time.Duration // slowest write; default 3ms, a flash disk's sync
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.ReadMin, 10 * time.Microsecond},
		{&o.ReadMax, 200 * time.Microsecond},
		{&o.WriteMin, 50 * time.Microsecond},
		{&o.WriteMax, 3 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// A Disk outlives the processes that use it. It is safe for concurrent use.
type Disk struct {
	opts Options

	mu    sync.Mutex // held for moments only
	fs    *vfs.MemFS
	mount *Mount // of the present life
	fault harness.DiskFault
	hit   uint64 // operations that the fault has hit
	rot   *damage
}

// New makes an empty disk.
func New(o Options) *Disk { return &Disk{opts: o.withDefaults(), fs: vfs.NewCrashableMem()} }

// Disturb puts a fault into force; the zero fault ends it. Half of the writes that fail take
// effect nevertheless, but none on a disk that is full or read-only. Damage to files is done at
// once, on a disk that no life uses; it names the file, which is whole again with the next fault
// if nobody has changed it.
func (d *Disk) Disturb(f harness.DiskFault) (damaged string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.rot.undo(d.fs); err != nil {
		return "", err
	}
	d.fault, d.hit, d.rot = f, 0, nil
	if !f.AtRest() {
		return "", nil
	}
	if d.rot, err = harm(d.fs, f); err != nil {
		d.fault = harness.DiskFault{}
		return "", err
	}
	d.hit = 1
	return d.rot.file, nil
}

// Damaged reports whether a file is damaged.
func (d *Disk) Damaged() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rot != nil
}

// Disturbed counts the operations that the present fault has slowed down or failed.
func (d *Disk) Disturbed() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hit
}

// hits counts an operation that will take longer or fail, as it begins: when it ends the
// fault may be another one.
func (d *Disk) hits(so bool) {
	if so {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hit++
	}
}

// Mount begins a life. The life before must have ended: by Crash, or by closing its engine.
func (d *Disk) Mount() *Mount {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mount = &Mount{disk: d, fs: d.fs, dead: make(chan struct{})}
	return d.mount
}

// Crash cuts the power: everything that was not synced is lost, and the present life's
// calls fail from now on, those under way included.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	if d.mount != nil {
		close(d.mount.dead)
		d.mount = nil
	}
}

// Image returns a copy of what a loss of power at this moment would leave.
func (d *Disk) Image() *vfs.MemFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
}

// Rewind puts an image in the place of what is on the disk. No life may use it.
func (d *Disk) Rewind(image *vfs.MemFS) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fs = image.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}) // it may come back once more
}

// A Mount is one life's use of a disk.
type Mount struct {
	disk *Disk
	fs   *vfs.MemFS
	dead chan struct{} // closed by the crash that ends this life
}

// FS is where the engine keeps its files.
func (m *Mount) FS() vfs.FS { return m.fs }

// Wrap puts the disk's delay and faults around an engine.
func (m *Mount) Wrap(kv storage.KV) storage.KV { return &wrapped{kv: kv, mount: m} }

// Kinds of operation, as parts of a name.
const (
	get uint64 = iota + 1
	scan
	apply
)

// A wrapped KV is slow and may fail. Its Close always reaches the engine, whose
// goroutines must end also when their machine is dead.
type wrapped struct {
	kv    storage.KV
	mount *Mount
}

func (w *wrapped) Get(key []byte) ([]byte, bool, error) {
	name, err := w.mount.read(fate.Hash(get, fate.Bytes(key)))
	if err != nil {
		return nil, false, err
	}
	value, found, err := w.kv.Get(key)
	return w.mount.flip(name, value), found, err
}

func (w *wrapped) Scan(lo, hi []byte, fn func(key, value []byte) bool) error {
	name, err := w.mount.read(fate.Hash(scan, fate.Bytes(lo), fate.Bytes(hi)))
	if err != nil {
		return err
	}
	return w.kv.Scan(lo, hi, func(key, value []byte) bool {
		return fn(key, w.mount.flip(fate.Hash(name, fate.Bytes(key)), value))
	})
}

// Apply takes its time before or after the engine's work, so that a crash may find a
// write under way that is on disk, or one that is not.
func (w *wrapped) Apply(b *storage.Batch, sync bool) error {
	what := fate.Hash(apply)
	b.Changes(func(key, value []byte, deleted bool) {
		what = fate.Hash(what, fate.Bytes(key), fate.Bytes(value))
	})
	d, fault, name := w.mount.delay(what, w.mount.disk.opts.WriteMin, w.mount.disk.opts.WriteMax)
	fails := fate.Chance(fault.WriteErrors, fate.Hash(name, 'f'))
	refused := refusal(fault)
	early := fate.Chance(0.5, fate.Hash(name, 'e')) && refused == nil
	b, spoilt := spoil(b, fault, name)
	w.mount.disk.hits(fails || refused != nil || fault.Slow > 0 || spoilt)
	if !early {
		if err := w.mount.wait(d); err != nil {
			return err
		}
	}
	if refused != nil {
		return refused
	}
	if fails && !early {
		return ErrIO
	}
	if err := w.kv.Apply(b, sync); err != nil {
		return err
	}
	if early {
		if err := w.mount.wait(d); err != nil {
			return err
		}
	}
	if fails {
		return ErrIO
	}
	return nil
}

// spoil returns what a bad disk makes of a batch: hints or records with one bit wrong, where the write's name says so.
func spoil(b *storage.Batch, f harness.DiskFault, name uint64) (out *storage.Batch, spoilt bool) {
	if f.BadHints == 0 && f.BadRecords == 0 {
		return b, false
	}
	chance := func(key []byte) float64 {
		switch {
		case storage.IsHint(key):
			return f.BadHints
		case storage.IsRecord(key):
			return f.BadRecords
		}
		return 0
	}
	out = new(storage.Batch)
	b.Changes(func(key, value []byte, deleted bool) {
		of := fate.Hash(name, fate.Bytes(key))
		switch {
		case deleted:
			out.Delete(key)
		case len(value) > 0 && fate.Chance(chance(key), fate.Hash(of, 'b')):
			spoilt = true
			out.Set(key, wrongBit(value, of))
		default:
			out.Set(key, value)
		}
	})
	return out, spoilt
}

// wrongBit returns the value with one bit wrong, which the name says.
func wrongBit(value []byte, name uint64) []byte {
	wrong := bytes.Clone(value)
	at := fate.Hash(name, 'p') % uint64(8*len(wrong))
	wrong[at/8] ^= 1 << (at % 8)
	return wrong
}

// refusal is what a disk says to every write.
func refusal(f harness.DiskFault) error {
	switch {
	case f.ReadOnly:
		return ErrRO
	case f.Full:
		return ErrFull
	}
	return nil
}

func (w *wrapped) Close() error { return w.kv.Close() }

// flip returns what a read brings, with one bit wrong if the disk is bad and the read's
// name says so. What is on disk stays as it is.
func (m *Mount) flip(name uint64, value []byte) []byte {
	m.disk.mu.Lock()
	chance := m.disk.fault.BitFlips
	m.disk.mu.Unlock()
	if len(value) == 0 || !fate.Chance(chance, fate.Hash(name, 'b')) {
		return value
	}
	m.disk.hits(true)
	return wrongBit(value, name)
}

// read waits as long as a read takes, decides whether it fails, and names it.
func (m *Mount) read(what uint64) (uint64, error) {
	d, fault, name := m.delay(what, m.disk.opts.ReadMin, m.disk.opts.ReadMax)
	fails := fate.Chance(fault.ReadErrors, fate.Hash(name, 'f'))
	m.disk.hits(fails || fault.Slow > 0)
	if err := m.wait(d); err != nil {
		return 0, err
	}
	if fails {
		return 0, ErrIO
	}
	return name, nil
}

// delay names an operation that begins now.
func (m *Mount) delay(what uint64, lo, hi time.Duration) (time.Duration, harness.DiskFault, uint64) {
	d := m.disk
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	name := fate.Hash(d.opts.Seed, fate.String(d.opts.Name), what, uint64(time.Now().UnixNano()))
	return fate.Between(lo, hi, name) + fault.Slow, fault, name
}

// wait lets time pass unless the life ends.
func (m *Mount) wait(d time.Duration) error {
	select {
	case <-m.dead:
		return ErrDead
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-m.dead:
		return ErrDead
	case <-timer.C:
		return nil
	}
}
