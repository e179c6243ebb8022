package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	provider "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"

	"cartwheel/store/coordinator"
	"cartwheel/store/transport"
)

// namespace begins the names of the store's own metrics.
const namespace = "cartwheel_"

// A Source is a node. Both functions may be called at any time.
type Source struct {
	Status  func(context.Context) (transport.Status, error)
	Engines func() map[string]*pebble.Metrics // by name: data, hints
}

// Metrics collects what a daemon shows.
type Metrics struct {
	registry *prometheus.Registry
	requests *provider.ServerMetrics
	log      *slog.Logger
}

// latencyBuckets are bounds in seconds: from a read in memory to a client's patience, with the 300 ms of
// the paper's agreement (section 2.2) among them.
var latencyBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .2, .3, .5, 1, 2.5, 5, 10}

// New returns metrics without a node: a server needs its options before there is one.
func New(log *slog.Logger) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), log: log.With("component", "metrics"),
		requests: provider.NewServerMetrics(provider.WithServerHandlingTimeHistogram(provider.WithHistogramBuckets(latencyBuckets))),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Interceptor measures each call of a server.
func (m *Metrics) Interceptor() grpc.UnaryServerInterceptor {
	return m.requests.UnaryServerInterceptor()
}

// StreamInterceptor measures each stream.
func (m *Metrics) StreamInterceptor() grpc.StreamServerInterceptor {
	return m.requests.StreamServerInterceptor()
}

// Show adds a node and shows its servers' methods from the first scrape on. It is called once.
func (m *Metrics) Show(s Source, servers ...*grpc.Server) {
	for _, server := range servers {
		m.requests.InitializeMetrics(server)
	}
	m.registry.MustRegister(collector{s, m.log})
}

// Handler answers scrapers.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelWarn)})
}

// A collector asks the node when it is asked.
type collector struct {
	source Source
	log    *slog.Logger
}

// Describe says nothing, which Prometheus calls unchecked: the counts are those the node has.
func (collector) Describe(chan<- *prometheus.Desc) {}

// statusLimit is how long a node may take to say how it is. It asks nobody else.
const statusLimit = 5 * time.Second

func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statusLimit)
	defer cancel()
	st, err := c.source.Status(ctx)
	if err != nil {
		c.log.Warn("could not read the node's status", "err", err)
		return
	}
	e := emitter{out}
	e.status(st)
	e.counts(st.Counters)
	for name, m := range c.source.Engines() {
		e.engine(name, m)
	}
}

// states are those of the node's counts that rise and fall.
var states = map[string]bool{
	"admission_slices_per_second": true, "admission_foreground_p99_microseconds": true,
	"hints_at_once": true, "hints_at_once_limit": true, "repair_same": true,
	"storage_set_aside": true, "gossip_forked": true,
}

type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) put(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	e.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(namespace+name, help, names, nil), kind, value, values...)
}

func (e emitter) gauge(name, help string, value float64, labels ...string) {
	e.put(prometheus.GaugeValue, name, help, value, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (e emitter) status(st transport.Status) {
	e.gauge("info", "Always 1; the labels name the node.", 1, "node", string(st.Node))
	e.gauge("incarnation", "How often the node has begun a new life of its disk.", float64(st.Incarnation))
	e.gauge("ring_version", "Number of the newest layout.", float64(st.Version.Number))
	e.gauge("ring_layouts_live", "Layouts that writes go to: 1 unless a change is pending, 0 before the node has joined.", float64(st.Live))
	e.gauge("requests_in_flight", "Requests being coordinated, work after their reply included.", float64(st.InFlight))
	e.gauge("last_write_age_seconds", "Time since a record last changed here.", st.WriteAge.Seconds())
	e.gauge("settled", "1 if nothing waits here and all peers compared equal after the last change.", truth(st.Settled))
	e.gauge("fault", "1 if the node takes no more writes.", truth(st.Fault != ""))
	for _, p := range st.Peers {
		e.gauge("peer_up", "1 if the peer answers, as far as this node knows.", truth(p.Up), "peer", string(p.Node))
		if p.Compared {
			e.gauge("peer_clean_age_seconds", "Time since a comparison of all shared keys that found no difference began.", p.CleanAge.Seconds(), "peer", string(p.Node))
		}
	}
}

// versionsReturned begins the names of counts of gets by how many versions they showed, the last
// of so many or more.
const versionsReturned = "coordinator_versions_returned_"

func (e emitter) counts(counters map[string]uint64) {
	var versions [coordinator.VersionsCounted]uint64
	for name, n := range counters {
		if rest, ok := strings.CutPrefix(name, versionsReturned); ok && len(rest) == 1 && int(rest[0]-'0') < len(versions) {
			versions[rest[0]-'0'] = n
			continue
		}
		if strings.HasSuffix(name, "_held") || states[name] {
			e.gauge(name, "See docs/OPERATIONS.md.", float64(n))
			continue
		}
		e.put(prometheus.CounterValue, name+"_total", "Since start; see docs/OPERATIONS.md.", float64(n))
	}
	buckets, all, sum := map[float64]uint64{}, uint64(0), 0.0
	for v, n := range versions {
		all, sum = all+n, sum+float64(v)*float64(n)
		if v < len(versions)-1 {
			buckets[float64(v)] = all
		}
	}
	e.out <- prometheus.MustNewConstHistogram(prometheus.NewDesc(namespace+"versions_returned", "Versions that a get showed (section 6.3 of the Dynamo paper).", nil, nil), all, sum, buckets)
}

// engine tells of one of the node's databases.
func (e emitter) engine(name string, m *pebble.Metrics) {
	e.gauge("engine_disk_bytes", "Bytes on disk.", float64(m.DiskSpaceUsage()), "engine", name)
	e.gauge("engine_read_amplification", "Places a read may have to look at.", float64(m.ReadAmp()), "engine", name)
	e.gauge("engine_compaction_debt_bytes", "Bytes that compactions still have to move.", float64(m.Compact.EstimatedDebt), "engine", name)
	e.gauge("engine_cache_bytes", "Bytes of tables in memory.", float64(m.BlockCache.Size), "engine", name)
	e.put(prometheus.CounterValue, "engine_cache_hits_total", "Blocks of tables that were in memory.", float64(m.BlockCache.Hits), "engine", name)
	e.put(prometheus.CounterValue, "engine_cache_misses_total", "Blocks of tables that were read from the disk.", float64(m.BlockCache.Misses), "engine", name)
	var fsync dto.Metric
	if m.LogWriter.FsyncLatency == nil || m.LogWriter.FsyncLatency.Write(&fsync) != nil {
		return
	}
	buckets := map[float64]uint64{}
	for _, b := range fsync.GetHistogram().GetBucket() {
		buckets[b.GetUpperBound()/float64(time.Second)] = b.GetCumulativeCount()
	}
	e.out <- prometheus.MustNewConstHistogram(prometheus.NewDesc(namespace+"engine_wal_fsync_seconds", "How long the log took to reach the disk.", []string{"engine"}, nil),
		fsync.GetHistogram().GetSampleCount(), fsync.GetHistogram().GetSampleSum()/float64(time.Second), buckets, name)
}
