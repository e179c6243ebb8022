package docker

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// A shell runs commands in a container, one after the other, in a bash that stays there. To have
// the engine start a process takes a tenth of a second of a quiet machine and several of a busy one,
// which is most of what a fault or a probe would wait for.
//
// It begins with the first command and is safe for concurrent use. A bash that is lost is not missed: the
// engine runs what was under way again, and the next command begins another. So commands must bear being repeated.
type shell struct {
	cli  *client.Client
	id   string        // of the container
	busy chan struct{} // holds one token while a command runs; guards what follows

	conn  *types.HijackedResponse // nil: none, or none any more
	said  *bufio.Reader           // what bash writes
	token string                  // that ends what a command says; no command says it by itself
}

func newShell(cli *client.Client, id string) *shell {
	return &shell{cli: cli, id: id, busy: make(chan struct{}, 1)}
}

// run is [execute] in the shell.
func (s *shell) run(ctx context.Context, stdin string, command ...string) (string, error) {
	if err := lock(ctx, s.busy); err != nil {
		return "", err
	}
	defer unlock(s.busy)
	out, status, err := s.try(ctx, stdin, command)
	switch {
	case err != nil && ctx.Err() != nil:
		s.hangUp()
		return "", fmt.Errorf("shell: %w", errors.Join(err, ctx.Err()))
	case err != nil:
		s.hangUp()
		out, second := execute(ctx, s.cli, s.id, stdin, command...)
		if second != nil {
			return "", errors.Join(second, fmt.Errorf("shell: %w", err))
		}
		return out, nil
	case status != 0:
		return "", &execError{Command: command[0], Status: status, Stderr: out}
	}
	return out, nil
}

// try runs a command in the bash. An error means that the bash is of no use any more.
func (s *shell) try(ctx context.Context, stdin string, command []string) (out string, status int, err error) {
	if s.conn == nil {
		if err := s.begin(ctx); err != nil {
			return "", 0, err
		}
	}
	// The stream is a hijacked connection that knows nothing of contexts.
	defer context.AfterFunc(ctx, s.conn.Close)()
	if _, err := io.WriteString(s.conn.Conn, scripted(s.token, stdin, command)); err != nil {
		return "", 0, fmt.Errorf("write: %w", err)
	}
	var b strings.Builder
	for {
		line, err := s.said.ReadString('\n')
		if err != nil {
			return "", 0, fmt.Errorf("read: %w", err)
		}
		if end, ok := strings.CutPrefix(line, s.token+" "); ok {
			status, err := strconv.Atoi(strings.TrimSpace(end))
			return strings.TrimSuffix(b.String(), "\n"), status, err
		}
		b.WriteString(line)
	}
}

// scripted writes a command for bash: what it reads comes with it, what it complains of is told
// if it fails, and a line of its own says how it ended.
func scripted(token, stdin string, command []string) string {
	quoted := make([]string, len(command))
	for i, word := range command {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	from := "</dev/null\n"
	if stdin != "" {
		from = "<<'" + token + "'\n" + strings.TrimSuffix(stdin, "\n") + "\n" + token + "\n"
	}
	return strings.Join(quoted, " ") + " 2>/tmp/complaint " + from +
		"s=$?; [ $s = 0 ] || cat /tmp/complaint; printf '\\n%s %d\\n' " + token + " $s\n"
}

// begin starts a bash that reads its commands from us.
func (s *shell) begin(ctx context.Context) error {
	created, err := s.cli.ContainerExecCreate(ctx, s.id, container.ExecOptions{AttachStdin: true, AttachStdout: true, Cmd: []string{"bash", "-s"}})
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	conn, err := s.cli.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	s.conn, s.said, s.token = &conn, bufio.NewReader(&frames{from: conn.Reader}), "end-"+rand.Text()
	return nil
}

// hangUp ends the bash. The caller holds busy.
func (s *shell) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// close ends the bash, once the command that runs has ended.
func (s *shell) close() {
	s.busy <- struct{}{}
	defer unlock(s.busy)
	s.hangUp()
}

// frames takes the engine's frames off a stream of which only standard output is attached: eight
// bytes before each, the last four of which are its length.
type frames struct {
	from io.Reader
	left uint32 // of the present frame
}

func (f *frames) Read(p []byte) (int, error) {
	for f.left == 0 {
		var head [8]byte
		if _, err := io.ReadFull(f.from, head[:]); err != nil {
			return 0, err
		}
		f.left = binary.BigEndian.Uint32(head[4:])
	}
	n, err := f.from.Read(p[:min(len(p), int(f.left))])
	f.left -= uint32(n)
	return n, err
}
