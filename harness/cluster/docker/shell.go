package docker

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/docker/client"
)

// A shell runs commands in a container, one after the other, in a bash that stays there.
//
// It begins with the first command and is safe for concurrent use. A bash that is lost is not missed: the
// engine runs what was under way again, and the next command begins another. So commands must bear being repeated.
type shell struct {
	*dialogue
	token string // that ends what a command says; no command says it by itself
}

func newShell(cli *client.Client, id string) *shell {
	return &shell{dialogue: newDialogue(cli, id, "bash", "-s"), token: "end-" + rand.Text()}
}

// run is [execute] in the shell.
func (s *shell) run(ctx context.Context, stdin string, command ...string) (out string, err error) {
	status := 0
	err = s.ask(ctx, scripted(s.token, stdin, command), func(said *bufio.Reader) error {
		out, status, err = hear(said, s.token)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("shell: %w", err)
	case err != nil:
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

// hear reads what a command says, up to the line that says how it ended.
func hear(said *bufio.Reader, token string) (out string, status int, err error) {
	var b strings.Builder
	for {
		line, err := said.ReadString('\n')
		if err != nil {
			return "", 0, fmt.Errorf("read: %w", err)
		}
		if end, ok := strings.CutPrefix(line, token+" "); ok {
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
