//go:build !linux

package shaper

import (
	"context"
	"errors"
	"log/slog"
)

// Serve works on Linux only, which is what containers run.
func Serve(context.Context, *slog.Logger) error {
	return errors.New("shaper: only Linux has packet queues")
}
