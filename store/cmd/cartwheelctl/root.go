package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/credentials"
	"cartwheel/store/transport"
)

const defaultServer = "127.0.0.1:7071"

// errUsage marks a command line that cannot be meant.
var errUsage = errors.New("wrong usage")

// errNoValue is a read that found nothing to print.
var errNoValue = errors.New("no value")

// globals are the flags of every command.
type globals struct {
	servers []string
	mapped  []string // id=host:port
	timeout time.Duration
	json    bool
	tls     credentials.Files
	token   string            // file
	dial    []grpc.DialOption // of tls and token

	adminPort int // of every member; 0: that of its address
}

// run is the command line.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), stdout, stderr io.Writer) error {
	cmd := root(lookupEnv)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd.ExecuteContext(ctx)
}

func root(lookupEnv func(string) (string, bool)) *cobra.Command {
	g := &globals{}
	cmd := &cobra.Command{
		Use:   "cartwheelctl",
		Short: "Read, write and inspect a cluster of the store",
		Long: "Read, write and inspect a cluster of the store.\n\n" +
			"Exit codes: 0 done, 1 not done, 2 a write whose outcome is unknown, 254 wrong usage.",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: there is no command %q", errUsage, args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return g.fromEnvironment(lookupEnv) },
	}
	f := cmd.PersistentFlags()
	f.StringSliceVar(&g.servers, "server", nil, "host:port of a node, may be repeated: the next is tried when one cannot be reached\n(default "+defaultServer+", or CARTWHEELCTL_SERVER)")
	f.StringSliceVar(&g.mapped, "map", nil, "id=host:port: where a member is reached from here, if not at its own address; may be repeated\n(or CARTWHEELCTL_MAP)")
	f.DurationVar(&g.timeout, "timeout", 5*time.Second, "how long one call may take")
	f.BoolVar(&g.json, "json", false, "print JSON instead of tables")
	f.StringVar(&g.tls.CA, "tls-ca", "", "file of the authorities that sign the nodes' certificates: connect by TLS\n(or CARTWHEELCTL_TLS_CA)")
	f.StringVar(&g.tls.Cert, "tls-cert", "", "file of the certificate to show (or CARTWHEELCTL_TLS_CERT)")
	f.StringVar(&g.tls.Key, "tls-key", "", "file of its private key (or CARTWHEELCTL_TLS_KEY)")
	f.StringVar(&g.token, "token-file", "", "file of the operators' secret, where nodes have --admin-token-file (or CARTWHEELCTL_TOKEN_FILE)")
	f.IntVar(&g.adminPort, "admin-port", 0, "port on which every member serves operators, where nodes have --admin-listen (or CARTWHEELCTL_ADMIN_PORT);\n--server is one of those, too")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	cmd.AddCommand(getCommand(g), siblingsCommand(g), putCommand(g), deleteCommand(g),
		ringCommand(g), membersCommand(g), joinCommand(g), leaveCommand(g), replaceCommand(g), setCommand(g), forceRemoveCommand(g),
		planCommand(g), commitCommand(g), abortCommand(g), transfersCommand(g), replicasCommand(g), hintsCommand(g), treesCommand(g), backupCommand(g), restoreCommand(g), drainCommand(g), statusCommand(g), statsCommand(g))
	return cmd
}

func (g *globals) fromEnvironment(lookupEnv func(string) (string, bool)) error {
	if v, ok := lookupEnv("CARTWHEELCTL_SERVER"); ok && v != "" && len(g.servers) == 0 {
		g.servers = strings.Split(v, ",")
	}
	if v, ok := lookupEnv("CARTWHEELCTL_MAP"); ok && v != "" && len(g.mapped) == 0 {
		g.mapped = strings.Split(v, ",")
	}
	if len(g.servers) == 0 {
		g.servers = []string{defaultServer}
	}
	for _, s := range g.servers {
		if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
			return fmt.Errorf("%w: --server %q is not of the form host:port", errUsage, s)
		}
	}
	if v, ok := lookupEnv("CARTWHEELCTL_ADMIN_PORT"); ok && v != "" && g.adminPort == 0 {
		port, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%w: CARTWHEELCTL_ADMIN_PORT is %q, want the number of a port", errUsage, v)
		}
		g.adminPort = port
	}
	if g.adminPort < 0 || g.adminPort > math.MaxUint16 {
		return fmt.Errorf("%w: --admin-port is %d, want the number of a port", errUsage, g.adminPort)
	}
	for _, m := range g.mapped {
		if id, address, ok := strings.Cut(m, "="); !ok || id == "" || !strings.Contains(address, ":") {
			return fmt.Errorf("%w: --map %q is not of the form id=host:port", errUsage, m)
		}
	}
	return g.secure(lookupEnv)
}

// secure makes connections use TLS if there are files for it.
func (g *globals) secure(lookupEnv func(string) (string, bool)) error {
	for name, file := range map[string]*string{"CA": &g.tls.CA, "CERT": &g.tls.Cert, "KEY": &g.tls.Key} {
		if v, ok := lookupEnv("CARTWHEELCTL_TLS_" + name); ok && *file == "" {
			*file = v
		}
	}
	if v, ok := lookupEnv("CARTWHEELCTL_TOKEN_FILE"); ok && g.token == "" {
		g.token = v
	}
	if g.token != "" {
		token, err := credentials.OpenToken(g.token)
		if err != nil {
			return fmt.Errorf("%w: --token-file: %w", errUsage, err)
		}
		g.dial = append(g.dial, transport.WithBearer(token.Text))
	}
	if g.tls == (credentials.Files{}) {
		return nil
	}
	source, err := credentials.Open(g.tls, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("%w: --tls-ca, --tls-cert, --tls-key: %w", errUsage, err)
	}
	g.dial = append(g.dial, grpc.WithTransportCredentials(source.Client()))
	return nil
}

// arguments checks the number of arguments and names those that are missing.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return fmt.Errorf("%w: %s takes %s, got %d arguments", errUsage, cmd.Name(), strings.Join(names, " and "), len(args))
	}
}

// withClient runs f with a client of the cluster.
func (g *globals) withClient(f func(*client.Client) error) error {
	c, err := client.Dial(client.Options{Addresses: g.servers, Timeout: g.timeout, DialOptions: g.dial})
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

// exitCode says how a command ended.
func exitCode(err error) int {
	var e *client.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 254
	case errors.As(err, &e) && !e.Definite():
		return 2
	}
	return 1
}

// explain adds to an error what to do next.
func explain(err error) string {
	var e *client.Error
	isWrite := errors.As(err, &e) && (e.Op == "put" || e.Op == "delete")
	hint := ""
	switch {
	case errors.Is(err, errUsage):
		hint = "'cartwheelctl --help' says how"
	case isWrite && !e.Definite():
		hint = fmt.Sprintf("the outcome is unknown: the %s may become visible later. Look with 'cartwheelctl siblings %s' before you repeat it", e.Op, e.Key)
	case errors.Is(err, store.ErrBadContext):
		hint = "pass a context as 'cartwheelctl siblings KEY' prints it for this very key, or use --merge"
	case errors.Is(err, store.ErrSiblings):
		hint = "merge the siblings: read them with 'cartwheelctl siblings KEY', then put their merged value with --merge"
	case errors.Is(err, store.ErrTooLarge):
		hint = fmt.Sprintf("a value has at most %d bytes: store larger ones in parts, or merge the siblings that fill the key", store.ValueSizeBytesMax)
	case errors.Is(err, store.ErrSession):
		hint = "the nodes that have it cannot be reached: 'cartwheelctl status' shows who is up; without --floor an older state is shown"
	case errors.Is(err, store.ErrNoQuorum):
		hint = "too few replicas are up: 'cartwheelctl status' shows which; without --strict, or with a smaller -r or -w, fewer are enough"
	case errors.Is(err, store.ErrDenied):
		hint = "--tls-cert and --tls-key choose another certificate, --token-file another secret; the nodes' --tls-admin-names, --tls-peer-names and --admin-token-file say what is allowed"
	case status.Code(err) == codes.Unimplemented:
		hint = "nothing there serves operators: give the address of a node's --admin-listen as --server, and its port as --admin-port"
	case errors.Is(err, store.ErrDown):
		hint = "is the node up, and is the address right? --server names another, --map id=host:port says where a member is reached from here"
	case errors.Is(err, store.ErrDraining):
		hint = "ask another node, or have this one coordinate again: 'cartwheelctl drain --undo'"
	case errors.Is(err, store.ErrOverloaded):
		hint = "try again a little later"
	case errors.Is(err, context.DeadlineExceeded):
		hint = "--timeout allows more time, 'cartwheelctl status' shows who is up"
	}
	if hint == "" {
		return err.Error()
	}
	return err.Error() + "\n" + hint
}
