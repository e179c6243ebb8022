package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// An execError is a command in a container that ended with a status other than zero.
type execError struct {
	Command string
	Status  int
	Stderr  string
}

func (e *execError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.Command, e.Status, strings.TrimSpace(e.Stderr))
}

// execute runs a command in a container and returns its output. It feeds it stdin and
// waits for its end; a status other than zero is an [execError] with what it said. If
// ctx ends first the command may still run on.
func execute(ctx context.Context, cli *client.Client, id, stdin string, command ...string) (string, error) {
	created, err := cli.ContainerExecCreate(ctx, id, container.ExecOptions{
		AttachStdin: stdin != "", AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return "", fmt.Errorf("exec: %w", err)
	}
	conn, err := cli.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return "", fmt.Errorf("exec: %w", err)
	}
	defer conn.Close()
	// The stream is a hijacked connection that knows nothing of contexts.
	defer context.AfterFunc(ctx, conn.Close)()

	if stdin != "" {
		if _, err := io.WriteString(conn.Conn, stdin); err != nil {
			return "", fmt.Errorf("exec: write input: %w", errors.Join(err, ctx.Err()))
		}
		if err := conn.CloseWrite(); err != nil {
			return "", fmt.Errorf("exec: end input: %w", errors.Join(err, ctx.Err()))
		}
	}
	var stdout, stderr bytes.Buffer
	if _, err := stdcopy.StdCopy(&stdout, &stderr, conn.Reader); err != nil {
		return "", fmt.Errorf("exec: read output: %w", errors.Join(err, ctx.Err()))
	}
	status, err := exitStatus(ctx, cli, created.ID)
	if err != nil {
		return "", err
	}
	if status != 0 {
		return "", &execError{Command: command[0], Status: status, Stderr: stderr.String()}
	}
	return stdout.String(), nil
}

// exitStatus waits for the end of a command whose output has ended: the engine closes the
// streams a moment before it books the exit.
func exitStatus(ctx context.Context, cli *client.Client, exec string) (int, error) {
	for range 200 {
		state, err := cli.ContainerExecInspect(ctx, exec)
		if err != nil {
			return 0, fmt.Errorf("exec: inspect: %w", err)
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("exec: wait for the exit status: %w", err)
		}
	}
	return 0, errors.New("exec: output ended but the command still runs")
}

// pause waits, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
