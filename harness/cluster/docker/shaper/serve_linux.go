package shaper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// failuresMax is how many times in a row the queue may fail to hand out packets.
const failuresMax = 100

// Serve disturbs packets as [Ask] says, until ctx ends. It needs the rights to change the
// network namespace and to send raw packets.
func Serve(ctx context.Context, log *slog.Logger) error {
	q, err := openQueue(Queue)
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return errors.Join(fmt.Errorf("shaper: %w", err), q.close())
	}
	begun := time.Now()
	now := func() time.Duration { return time.Since(begun) }
	s, h := &state{}, newHeld()
	log.Info("shaping", "queue", Queue)

	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { h.run(ctx, now); return nil })
	eg.Go(func() error { return pump(ctx, q, s, h, now, log) })
	eg.Go(func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return fmt.Errorf("shaper: %w", err)
			}
			if err := answer(conn, s); err != nil {
				log.Warn("request not answered", "err", err)
			}
		}
	})
	eg.Go(func() error { // the others wait for these
		<-ctx.Done()
		return errors.Join(listener.Close(), q.conn.SetReadDeadline(time.Unix(1, 0)))
	})
	err = eg.Wait()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // it was told to end
	}
	return errors.Join(err, q.close())
}

// pump takes packets from the queue and decides about each.
func pump(ctx context.Context, q *queue, s *state, h *held, now func() time.Duration, log *slog.Logger) error {
	failures := 0
	for {
		packets, err := q.receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// The kernel also reports here that it no longer knows a packet: its device has gone.
			if failures++; failures > failuresMax {
				return err
			}
			log.Warn("no packet received", "err", err)
			continue
		}
		failures = 0
		for _, p := range packets {
			from, ok := sender(p.data)
			var f fate
			if ok {
				f = s.decide(from, now(), len(p.data))
			}
			send := func() { deliver(q, p, f, log) }
			if f.after == 0 {
				send()
			} else {
				h.add(now()+f.after, send)
			}
		}
	}
}

// deliver carries out a packet's fate, once its time has come.
func deliver(q *queue, p queued, f fate, log *slog.Logger) {
	var changed []byte
	if f.spoilt {
		changed = spoil(p.data, f.flip)
	}
	err := q.judge(p, !f.lost, changed)
	for i := 0; i < f.copies && !f.lost; i++ {
		err = errors.Join(err, q.inject(p.data))
	}
	if err != nil {
		log.Warn("packet not delivered as decided", "err", err)
	}
}
