package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/docker/client"
)

// ErrNoEngine means that no Docker Engine answered. The error's text says how to get one.
var ErrNoEngine = errors.New("no Docker Engine answers")

const engineRemedy = `start one:
  Linux with Debian's packages:  sudo apt-get install docker.io && sudo systemctl start docker
  macOS, Windows:                start Docker Desktop, or colima, OrbStack, Rancher Desktop
  not allowed to use the socket: add yourself to the group "docker", then log in again
  another engine:                set DOCKER_HOST, for example to unix:///path/to/docker.sock
or use the simulated cluster, which needs no engine: cartwheel test --cluster sim, make test-partition CLUSTER=sim`

// connect returns a client of an engine that answers. It asks the one that the
// environment names (DOCKER_HOST) or the usual socket, then the sockets of desktop
// and rootless engines.
func connect(ctx context.Context) (*client.Client, error) {
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("%w: %w\n%s", ErrNoEngine, err, engineRemedy)
	}
	first := ping(ctx, cli)
	if first == nil {
		return cli, nil
	}
	host := cli.DaemonHost()
	_ = cli.Close() // it never had a connection
	if host == client.DefaultDockerHost {
		for _, socket := range otherSockets() {
			if _, err := os.Stat(socket); err != nil {
				continue
			}
			cli, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithAPIVersionNegotiation())
			if err != nil {
				continue
			}
			if ping(ctx, cli) == nil {
				return cli, nil
			}
			_ = cli.Close()
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connect to the engine at %s: %w", host, ctx.Err())
	}
	return nil, fmt.Errorf("%w at %s: %w\n%s", ErrNoEngine, host, first, engineRemedy)
}

// Reachable returns nil if an engine answers, otherwise an error that is [ErrNoEngine]
// and says how to get one.
func Reachable(ctx context.Context) error {
	cli, err := connect(ctx)
	if err != nil {
		return err
	}
	_ = cli.Close() // it was asked, and that was all
	return nil
}

// ping asks for a sign of life, and on the way settles the API version.
func ping(ctx context.Context, cli *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p, err := cli.Ping(ctx)
	if err != nil {
		return err
	}
	cli.NegotiateAPIVersionPing(p)
	return nil
}

// otherSockets lists where engines listen that run for one user.
func otherSockets() []string {
	sockets := []string{fmt.Sprintf("/run/user/%d/docker.sock", os.Getuid())}
	if home, err := os.UserHomeDir(); err == nil {
		for _, s := range []string{".docker/run/docker.sock", ".docker/desktop/docker.sock", ".orbstack/run/docker.sock", ".colima/default/docker.sock", ".rd/docker.sock"} {
			sockets = append(sockets, filepath.Join(home, s))
		}
	}
	return sockets
}
