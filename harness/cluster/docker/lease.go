package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A lease is a locked file. The kernel releases the lock when its process is gone, also
// by kill -9, and children do not inherit it: so whoever can take the lock knows that
// its holder is dead.
type lease struct {
	path string
	file *os.File
}

var errHeld = errors.New("held by a live process")

// leaseDir holds this user's leases. It is shared by all runs on the machine.
func leaseDir() string { return filepath.Join(os.TempDir(), fmt.Sprintf("cartwheel-%d", os.Getuid())) }

// acquire takes the lease of that name, or returns errHeld.
func acquire(name string) (*lease, error) {
	if err := os.MkdirAll(leaseDir(), 0o700); err != nil {
		return nil, fmt.Errorf("lease %s: %w", name, err)
	}
	path := filepath.Join(leaseDir(), name+".lock")
	// A holder removes the file before it lets go of it, so a lock on a file that is no
	// longer there is worth nothing: then try again.
	for range 100 {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lease %s: %w", name, err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && sameFile(f, path) {
			return &lease{path: path, file: f}, nil
		}
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lease %s: %w", name, errHeld)
		}
		if err != nil {
			return nil, fmt.Errorf("lease %s: %w", name, err)
		}
	}
	return nil, fmt.Errorf("lease %s: its file keeps vanishing", name)
}

// await takes the lease of that name once its holder lets go of it.
func await(ctx context.Context, name string) (*lease, error) {
	for {
		l, err := acquire(name)
		if !errors.Is(err, errHeld) {
			return l, err
		}
		if waited := pause(ctx, 100*time.Millisecond); waited != nil {
			return nil, errors.Join(err, waited)
		}
	}
}

// release lets go of the lease. A second time it does nothing.
func (l *lease) release() {
	if l == nil || l.file == nil {
		return
	}
	// Failure to tidy up costs an empty file in a temporary directory.
	_ = os.Remove(l.path)
	_ = l.file.Close()
	l.file = nil
}

// dropLease removes the file that a killed process has left, if it is one of this user's
// and nobody holds it.
func dropLease(path string) {
	name, ok := strings.CutSuffix(filepath.Base(path), ".lock")
	if !ok || filepath.Dir(path) != leaseDir() {
		return
	}
	if l, err := acquire(name); err == nil {
		l.release()
	}
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// holderGone reports whether the process that held the lease at path is gone: it left no
// file, or one that nobody has locked. It changes nothing. When it cannot tell, as with
// another user's file, it says so by an error.
func holderGone(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	defer func() { _ = f.Close() }()
	// A shared lock does not get in the way of others who ask the same question.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", path, err)
	}
	return true, nil
}
