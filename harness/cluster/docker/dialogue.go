package docker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// A dialogue is a process in a container that stays there and answers questions, one after the other. To have
// the engine start a process takes a tenth of a second of a quiet machine and several of a busy one, which is
// most of what a fault or a probe would wait for.
//
// The process begins with the first question, and after an error another with the next. Safe for concurrent use.
type dialogue struct {
	cli     *client.Client
	id      string   // of the container
	command []string // the process
	busy    chan struct{}

	// Guarded by a token in busy.
	conn *types.HijackedResponse // nil: none, or none any more
	said *bufio.Reader           // what the process writes
}

func newDialogue(cli *client.Client, id string, command ...string) *dialogue {
	return &dialogue{cli: cli, id: id, command: command, busy: make(chan struct{}, 1)}
}

// ask puts a question and has the answer heard. After an error, of hear too, the process is of no use any more.
func (d *dialogue) ask(ctx context.Context, question string, hear func(*bufio.Reader) error) error {
	if err := lock(ctx, d.busy); err != nil {
		return err
	}
	defer unlock(d.busy)
	err := d.exchange(ctx, question, hear)
	if err != nil {
		d.hangUp()
		err = errors.Join(err, ctx.Err())
	}
	return err
}

func (d *dialogue) exchange(ctx context.Context, question string, hear func(*bufio.Reader) error) error {
	if d.conn == nil {
		if err := d.begin(ctx); err != nil {
			return err
		}
	}
	// The stream is a hijacked connection that knows nothing of contexts.
	defer context.AfterFunc(ctx, d.conn.Close)()
	if _, err := io.WriteString(d.conn.Conn, question); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return hear(d.said)
}

// begin starts the process.
func (d *dialogue) begin(ctx context.Context) error {
	created, err := d.cli.ContainerExecCreate(ctx, d.id, container.ExecOptions{AttachStdin: true, AttachStdout: true, Cmd: d.command})
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	conn, err := d.cli.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	d.conn, d.said = &conn, bufio.NewReader(&frames{from: conn.Reader})
	return nil
}

// hangUp ends the process, whose standard input ends. The caller holds busy.
func (d *dialogue) hangUp() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// close ends the process, once it has answered what it was asked.
func (d *dialogue) close() {
	d.busy <- struct{}{}
	defer unlock(d.busy)
	d.hangUp()
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
