package child

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// limit allows this process so many bytes of address space more than it has now: the
// runtime reserves a good deal that it never touches.
func limit(more int64) error {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var pages uint64
	if _, err := fmt.Fscan(bytes.NewReader(data), &pages); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	most := pages*uint64(os.Getpagesize()) + uint64(more)
	return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: most, Max: most})
}
