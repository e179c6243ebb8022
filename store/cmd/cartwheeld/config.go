package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
)

// envPrefix and the flag's name in capitals make the name of the variable that a flag
// falls back to.
const envPrefix = "CARTWHEELD_"

// settings are what an operator can choose.
type settings struct {
	id             string
	listen         string
	advertise      string
	members        []string
	join           []string
	bucketFlags    []string
	buckets        store.Buckets
	data           string
	storage        string
	partitions     int
	replicas       int
	readQuorum     int
	writeQuorum    int
	replicaTimeout time.Duration
	repairInterval time.Duration
	tombstoneEvery time.Duration
	checkInterval  time.Duration
	tombstoneGrace time.Duration
	restore        string
	durabilityName string
	durability     store.Durability
	objectBuffer   bool
	flushAfter     time.Duration
	clockSkew      string
	cacheSize      int
	memtableSize   int
	hintSize       uint64
	hintRate       int
	logLevel       string
	debugListen    string
	adminListen    string
	adminToken     string // file
	requestsMax    int
	connectionsMax int
	transferRate   int
	admission      string
	target         time.Duration // that admission means; negative: none
	tls            tlsSettings
}

func (s *settings) register(f *pflag.FlagSet) {
	f.StringVar(&s.id, "id", "", "name of this node (required)")
	f.StringVar(&s.listen, "listen", ":7070", "host:port on which clients and peers are served")
	f.StringVar(&s.advertise, "advertise", "", "host:port at which other nodes reach this one; required with --join on a new disk, otherwise as in --members")
	f.StringSliceVar(&s.members, "members", nil, "begins a cluster: all its first nodes as n1=host:port,n2=host:port,..., the same on each of them.\nA disk that knows a layout wins over it")
	f.StringSliceVar(&s.join, "join", nil, "joins a cluster: host:port of some of its nodes. The node waits until 'cartwheelctl join' and 'commit' give it a role")
	f.StringVar(&s.data, "data", "data", "directory of the data, created if missing")
	f.StringVar(&s.storage, "storage", "disk", "disk, or memory: nothing is written to --data, and the node forgets all when it ends. It comes back as a new disk would:\nto lose fewer nodes than W at a time is then what keeps writes")
	f.IntVar(&s.partitions, "partitions", ring.DefaultPartitions, "partitions of the ring that --members begins, a power of two, the same on every node")
	f.IntVar(&s.replicas, "replicas", ring.DefaultReplicas, "owners of each key (N), the same on every node")
	f.IntVar(&s.readQuorum, "read-quorum", 2, "replicas that must answer a get that does not say (R)")
	f.IntVar(&s.writeQuorum, "write-quorum", 2, "replicas that must store a put that does not say (W)")
	f.StringArrayVar(&s.bucketFlags, "bucket", nil, "defaults for the keys that begin with NAME/, the same on every node; may be repeated:\n"+
		"NAME:n=3,r=2,w=2,pr=1,pw=1,dw=2,node-confirms=2,mode=strict,repair=blocking,not-found=does-not-count,durability=one,last-write-wins\n"+
		"(the empty NAME: keys of no other bucket; CARTWHEELD_BUCKET holds one)")
	f.IntVar(&s.cacheSize, "cache-bytes", storage.CacheSizeBytesDefault, "bytes of tables that each of the node's two databases keeps in memory after it has read them, so that they are not read again; 1: none")
	f.IntVar(&s.memtableSize, "memtable-bytes", storage.MemtableSizeBytesDefault, "bytes of writes that each of the node's two databases keeps in memory before they become a table on the disk, 8192 to 1 GiB; the log has them at once")
	f.Uint64Var(&s.hintSize, "hint-bytes", 1<<30, "bytes of hints kept for other nodes, half of it for one; what exceeds it is refused and does not count toward W")
	f.IntVar(&s.hintRate, "hint-rate", 10<<20, "bytes of hints a second that this node delivers to one owner")
	f.DurationVar(&s.replicaTimeout, "replica-timeout", time.Second, "how long a replica may take to answer")
	f.DurationVar(&s.repairInterval, "repair-interval", 2*time.Second, "time between comparisons with another replica; 0: none, only hints and reads repair")
	f.StringVar(&s.restore, "restore", "", "begin from this backup, a directory that 'cartwheelctl backup' has made; --data must hold nothing yet")
	f.StringVar(&s.durabilityName, "durability", "all", "what of a write that does not say is on disk when it is acknowledged:\n"+
		"all, one (the coordinator's copy) or none (with --object-buffer)")
	f.DurationVar(&s.flushAfter, "flush-after", 100*time.Millisecond, "what a lower durability leaves in memory is on disk so much later")
	f.BoolVar(&s.objectBuffer, "object-buffer", false, "for experiments: allow durability none; loses acknowledged writes when power is lost")
	f.StringVar(&s.clockSkew, "clock-skew", "", "for experiments: file that says how wrong this node's clock is, such as 'offset=-1m drift=0.01'; read anew each time")
	f.IntVar(&s.requestsMax, "requests-max", 1024, "client requests coordinated at a time; those beyond are refused and not done")
	f.IntVar(&s.connectionsMax, "connections-max", 4096, "connections of clients and peers open at a time; those beyond are closed at once")
	f.DurationVar(&s.checkInterval, "check-interval", 7*24*time.Hour, "time between comparisons of all records with their hash trees, which find damage that nobody reads")
	f.DurationVar(&s.tombstoneEvery, "tombstone-interval", 10*time.Minute, "time between two looks for tombstones that may be collected; 0: never")
	f.DurationVar(&s.tombstoneGrace, "tombstone-grace", 24*time.Hour, "how old a tombstone becomes before it is collected: longer than clients keep a session")
	f.IntVar(&s.transferRate, "transfer-rate", 32<<20, "bytes a second that this node copies or hands over when members change")
	f.StringVar(&s.admission, "admission", "50ms", "99th percentile of the node's own reads and writes for clients, above which hints, transfers, anti-entropy and checks of trees\nare slowed down; off: never")
	f.StringVar(&s.debugListen, "debug-listen", "", "host:port on which /metrics (Prometheus), /healthz and /debug/pprof/ are served, without encryption and to anybody:\nan address that only operators reach, such as 127.0.0.1:9090; empty: none")
	f.StringVar(&s.adminListen, "admin-listen", "", "host:port on which operators are served (cartwheelctl, with --server or --admin-port), however many connections others have, and then there only; empty: on --listen, with clients and peers")
	f.StringVar(&s.adminToken, "admin-token-file", "", "file of a secret that operators have to show (cartwheelctl --token-file), 22 characters or more; may be replaced at any time.\n"+
		"Without TLS whoever sees the packets learns it; empty: without TLS everybody is an operator")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	s.tls.register(f)
}

// fromEnvironment gives flags that were not set on the command line the values of their variables.
func fromEnvironment(f *pflag.FlagSet, lookupEnv func(string) (string, bool)) error {
	var errs []error
	f.VisitAll(func(flag *pflag.Flag) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value, ok := lookupEnv(name)
		if !ok || flag.Changed || flag.Name == "help" {
			return
		}
		if err := f.Set(flag.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

// check reports all that is wrong with the settings at once, save what the ring checks.
func (s *settings) check() error {
	var errs []error
	if s.id == "" {
		errs = append(errs, errors.New("--id is required: the name of this node"))
	}
	if len(s.members) == 0 && len(s.join) == 0 {
		errs = append(errs, errors.New("one of --members and --join is required: begin a cluster with all its nodes as n1=host:port,n2=host:port and so on, or join one by host:port of some of its nodes"))
	}
	if len(s.members) == 0 && len(s.join) > 0 && s.advertise == "" {
		errs = append(errs, errors.New("--advertise is required with --join: host:port at which the other nodes reach this one"))
	}
	for _, a := range append(slices.Clone(s.join), s.advertise, s.debugListen, s.adminListen) {
		if a != "" && !strings.Contains(a, ":") {
			errs = append(errs, fmt.Errorf("%q is not of the form host:port", a))
		}
	}
	for _, m := range s.members {
		if id, address, ok := strings.Cut(m, "="); !ok || id == "" || !strings.Contains(address, ":") {
			errs = append(errs, fmt.Errorf("--members: %q is not of the form id=host:port", m))
		}
	}
	if s.adminListen != "" && s.adminListen == s.listen {
		errs = append(errs, fmt.Errorf("--admin-listen and --listen are both %s: two ports are needed", s.listen))
	}
	errs = append(errs, s.tls.check()...)
	s.buckets = nil
	for _, text := range s.bucketFlags {
		b, err := store.ParseBucket(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--bucket: %w", err))
		}
		s.buckets = append(s.buckets, b)
	}
	errs = append(errs, s.checkDisk()...)
	var err error
	for _, bound := range []struct {
		flag  string
		value int
	}{{"requests-max", s.requestsMax}, {"connections-max", s.connectionsMax}, {"transfer-rate", s.transferRate}, {"hint-rate", s.hintRate}} {
		if bound.value <= 0 {
			errs = append(errs, fmt.Errorf("--%s is %d, want more than 0", bound.flag, bound.value))
		}
	}
	if s.target, err = parseAdmission(s.admission); err != nil {
		errs = append(errs, err)
	}
	if s.hintSize == 0 {
		errs = append(errs, errors.New("--hint-bytes is 0, want more"))
	}
	if s.checkInterval <= 0 {
		errs = append(errs, fmt.Errorf("--check-interval is %v, want more than 0", s.checkInterval))
	}
	if s.tombstoneEvery < 0 || s.tombstoneGrace < 0 {
		errs = append(errs, fmt.Errorf("--tombstone-interval is %v and --tombstone-grace %v, want 0 or more", s.tombstoneEvery, s.tombstoneGrace))
	}
	if s.repairInterval < 0 {
		errs = append(errs, fmt.Errorf("--repair-interval is %v, want 0 or more", s.repairInterval))
	}
	if s.replicaTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--replica-timeout is %v, want more than 0", s.replicaTimeout))
	}
	return errors.Join(errs...)
}

// checkDisk checks what is about the data.
func (s *settings) checkDisk() (errs []error) {
	var err error
	if s.durability, err = store.ParseDurability(s.durabilityName); err != nil {
		errs = append(errs, fmt.Errorf("--durability: %w", err))
	}
	if s.durability == store.DurabilityNone && !s.objectBuffer {
		errs = append(errs, errors.New("--durability none loses acknowledged writes when power is lost: it needs --object-buffer"))
	}
	if s.storage != "disk" && s.storage != "memory" {
		errs = append(errs, fmt.Errorf("--storage is %q, want disk or memory", s.storage))
	}
	if s.storage == "memory" && s.restore != "" {
		errs = append(errs, errors.New("--restore needs --storage disk"))
	}
	for _, size := range []struct {
		flag               string
		value, least, most int
	}{
		{"cache-bytes", s.cacheSize, storage.CacheSizeBytesMin, storage.CacheSizeBytesMax},
		{"memtable-bytes", s.memtableSize, storage.MemtableSizeBytesMin, storage.MemtableSizeBytesMax},
	} {
		if size.value < size.least || size.value > size.most {
			errs = append(errs, fmt.Errorf("--%s is %d, want %d to %d", size.flag, size.value, size.least, size.most))
		}
	}
	if s.flushAfter <= 0 {
		errs = append(errs, fmt.Errorf("--flush-after is %v, want more than 0", s.flushAfter))
	}
	return errs
}

func (s *settings) memberList() (out []store.Member) {
	for _, m := range s.members {
		id, address, _ := strings.Cut(m, "=")
		out = append(out, store.Member{ID: store.NodeID(strings.TrimSpace(id)), Address: strings.TrimSpace(address)})
	}
	return out
}

func (s *settings) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", s.logLevel)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
}

// parseAdmission returns the target of admission control, negative for "off".
func parseAdmission(text string) (time.Duration, error) {
	if text == "off" {
		return -1, nil
	}
	target, err := time.ParseDuration(text)
	if err != nil || target <= 0 {
		return 0, fmt.Errorf("--admission is %q, want off or a duration above 0, such as 50ms", text)
	}
	return target, nil
}

// repairEvery is the node's repair interval: a command line says 0 where a Config, whose 0
// is the default, wants a negative one.
func (s *settings) repairEvery() time.Duration {
	if s.repairInterval == 0 {
		return -1
	}
	return s.repairInterval
}

// fs is where the data are.
func (s *settings) fs(log *slog.Logger) vfs.FS {
	if s.storage == "memory" {
		log.Warn("keeps all data in memory")
		return vfs.NewMem()
	}
	return vfs.Default
}

// clock is the machine's, unless an experiment wants it wrong.
func (s *settings) clock(log *slog.Logger) clock.Clock {
	if s.clockSkew == "" {
		return clock.System
	}
	skewed := &clock.Followed{Base: clock.System, File: s.clockSkew}
	log.Warn("clock skewed by a file", "file", s.clockSkew, "err", skewed.Check())
	return skewed
}

// log tells the effective configuration once.
func (s *settings) log(l *slog.Logger) {
	l.Info("configured",
		"id", s.id, "listen", s.listen, "advertise", s.advertise, "members", s.members, "join", s.join, "data", s.data, "storage", s.storage, "partitions", s.partitions, "replicas", s.replicas,
		"read_quorum", s.readQuorum, "write_quorum", s.writeQuorum, "buckets", s.bucketFlags, "cache_bytes", s.cacheSize, "memtable_bytes", s.memtableSize, "hint_bytes", s.hintSize, "hint_rate", s.hintRate, "replica_timeout", s.replicaTimeout,
		"repair_interval", s.repairInterval, "check_interval", s.checkInterval, "tombstone_interval", s.tombstoneEvery, "tombstone_grace", s.tombstoneGrace, "restore", s.restore, "durability", s.durabilityName, "object_buffer", s.objectBuffer, "flush_after", s.flushAfter, "clock_skew", s.clockSkew, "requests_max", s.requestsMax, "connections_max", s.connectionsMax, "transfer_rate", s.transferRate, "admission", s.admission, "debug_listen", s.debugListen, "admin_listen", s.adminListen, "admin_token_file", s.adminToken, "log_level", s.logLevel,
		"tls_cert", s.tls.files.Cert, "tls_key", s.tls.files.Key, "tls_ca", s.tls.files.CA, "tls_client_cert_optional", s.tls.optional,
		"tls_peer_names", s.tls.guard.Peers, "tls_admin_names", s.tls.guard.Admins)
}

// command is the command line.
func command(s *settings, lookupEnv func(string) (string, bool), serve func(*cobra.Command) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cartwheeld --id n1 (--members n1=host:port,n2=host:port,... | --join host:port,... --advertise host:port)",
		Short: "A node of the store",
		Long: "A node of a Dynamo-style store. The nodes that begin a cluster are given the same --members, --partitions and\n" +
			"--replicas; later ones are given --join. Every flag falls back to an environment variable: --read-quorum to " + envPrefix + "READ_QUORUM.",
		Args:              func(cmd *cobra.Command, args []string) error { return withHelp(cobra.NoArgs(cmd, args)) },
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(fromEnvironment(cmd.Flags(), lookupEnv), s.check()); err != nil {
				return withHelp(err)
			}
			return serve(cmd)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withHelp(err) })
	s.register(cmd.Flags())
	return cmd
}

// withHelp tells whom a command line was refused where to look; of nil it is nil.
func withHelp(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\n'cartwheeld --help' lists the flags", err)
}
