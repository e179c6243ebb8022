package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// settle waits until the store says that it is quiet, if it can say so.
func (r *run) settle(ctx context.Context) error {
	r.board.enter(harness.Settle, r.o.SettleLimit, "load is over, everything is healed")
	op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: SettleOp, Phase: harness.Settle}
	if _, err := r.journal.Append(op); err != nil {
		return err
	}
	op.Kind = harness.OK
	if reason := r.quiet(ctx); reason != "" {
		op.Kind, op.Error = harness.Info, reason
		r.board.note("not quiet: " + reason)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("settling was interrupted: %w", context.Cause(ctx))
	}
	_, err := r.journal.Append(op)
	return err
}

// quietPoll is how often the store is asked whether it is quiet: all nodes, all their counters.
const quietPoll = 500 * time.Millisecond

// quiet returns why the store is not quiet at the limit; nothing if it is.
func (r *run) quiet(ctx context.Context) string {
	q, ok := r.o.Target.(harness.Quiescer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.SettleLimit)
	defer cancel()
	last := "it was never asked"
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		reason, err := q.Quiet(attempt, r.o.Cluster)
		cancel()
		switch {
		case err == nil && reason == "":
			return ""
		case err == nil:
			last = reason
		case ctx.Err() == nil || last == "":
			last = err.Error()
		}
		if !sleep(ctx, quietPoll) {
			return last
		}
	}
}

// final reads every key of the history on every replica, and those that differ again
// until they are equal or the limit has passed. Then it says that the run is complete.
func (r *run) final(ctx context.Context) error {
	r.board.enter(harness.Final, r.o.FinalLimit, fmt.Sprintf("reading %d keys on their replicas", len(r.keys)))
	end := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: EndOp, Phase: harness.Final}
	if _, err := r.journal.Append(end); err != nil {
		return err
	}
	if reader, ok := r.o.Target.(harness.ReplicaReader); ok {
		err := r.replicas(ctx, reader)
		if ctx.Err() != nil {
			return fmt.Errorf("final phase was interrupted: %w", context.Cause(ctx))
		}
		if err != nil {
			return err
		}
	}
	if auditor, ok := r.o.Target.(harness.Auditor); ok {
		err := r.audit(ctx, auditor)
		if ctx.Err() != nil {
			return fmt.Errorf("final phase was interrupted: %w", context.Cause(ctx))
		}
		if err != nil {
			return err
		}
	}
	end.Kind = harness.OK
	r.mu.Lock()
	if len(r.problems) > 0 {
		end.Kind, end.Error = harness.Info, strings.Join(r.problems, "; ")
	}
	r.mu.Unlock()
	_, err := r.journal.Append(end)
	return err
}

// audit asks every node whether all is well with it. The error is the journal's.
func (r *run) audit(ctx context.Context, auditor harness.Auditor) error {
	for _, n := range r.nodes {
		op := harness.Op{Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.Audit, Node: n, Phase: harness.Final}
		if _, err := r.journal.Append(op); err != nil {
			return err
		}
		err := guarded(func() (err error) {
			attempt, cancel := context.WithTimeout(ctx, r.o.OpTimeout)
			defer cancel()
			op.Flaws, err = auditor.Audit(attempt, r.o.Cluster, n)
			return err
		})
		if _, err := r.journal.Append(harness.Complete(op, err)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) replicas(ctx context.Context, reader harness.ReplicaReader) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.FinalLimit)
	defer cancel()
	left := slices.Sorted(maps.Keys(r.keys))
	equal := r.now() + r.o.EqualLimit
	for round := 1; ; round++ {
		var differ []string
		for i, key := range left {
			if ctx.Err() != nil {
				r.problem("%d keys were not read on their replicas within %v", len(left)-i, r.o.FinalLimit)
				return nil
			}
			same, err := r.replicasOf(ctx, reader, key)
			if err != nil {
				return err
			}
			if !same {
				differ = append(differ, key)
			}
		}
		if round == 1 { // reading may have taken its time
			equal = max(equal, r.now()+r.o.EqualLimit/2)
		}
		if left = differ; len(left) == 0 || r.now() >= equal {
			return nil
		}
		r.board.note(fmt.Sprintf("%d keys differ between replicas or could not be read", len(left)))
		sleep(ctx, 500*time.Millisecond)
	}
}

// replicasOf reads one key on all its replicas and reports whether all answered the
// same. The error is the journal's.
func (r *run) replicasOf(ctx context.Context, reader harness.ReplicaReader, key string) (same bool, err error) {
	var nodes []harness.NodeID
	if err := guarded(func() (err error) {
		attempt, cancel := context.WithTimeout(ctx, r.o.OpTimeout)
		defer cancel()
		nodes, err = reader.Replicas(attempt, r.o.Cluster, key)
		if err == nil && len(nodes) == 0 {
			err = errors.New("no node holds it")
		}
		return err
	}); err != nil {
		r.problem("replicas of key %q are not known: %v", key, err)
		return true, nil // there is nothing to read again
	}
	same = true
	var first string
	for i, n := range nodes {
		op, err := r.replica(ctx, reader, n, key)
		if err != nil {
			return false, err
		}
		digest := op.CopyState()
		if i == 0 {
			first = digest
		}
		same = same && op.Kind == harness.OK && digest == first
	}
	return same, nil
}

func (r *run) replica(ctx context.Context, reader harness.ReplicaReader, n harness.NodeID, key string) (harness.Op, error) {
	op := harness.Op{
		Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.ReplicaRead,
		Key: key, Node: n, Phase: harness.Final,
	}
	if _, err := r.journal.Append(op); err != nil {
		return op, err
	}
	err := guarded(func() error {
		attempt, cancel := context.WithTimeout(ctx, r.o.OpTimeout)
		defer cancel()
		got, err := reader.ReadReplica(attempt, r.o.Cluster, n, key)
		op.Siblings, op.Token, op.State, op.Meta = got.Siblings, got.Token, got.State, got.Meta
		return err
	})
	return r.journal.Append(harness.Complete(op, err))
}
