package metrics

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"cartwheel/store/transport"
)

// A counter that falls is a restart to whoever watches it: what may fall has to be a gauge.
func TestWhatMayFallIsNoCounter(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler))
	m.Show(Source{
		Status: func(context.Context) (transport.Status, error) {
			return transport.Status{Counters: map[string]uint64{"storage_set_aside": 2, "gossip_forked": 1, "hints_held": 3, "storage_damaged": 4}}, nil
		},
		Engines: func() map[string]*pebble.Metrics { return nil },
	})
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		"# TYPE cartwheel_storage_set_aside gauge\ncartwheel_storage_set_aside 2\n",
		"# TYPE cartwheel_gossip_forked gauge\ncartwheel_gossip_forked 1\n",
		"# TYPE cartwheel_hints_held gauge\ncartwheel_hints_held 3\n",
		"# TYPE cartwheel_storage_damaged_total counter\ncartwheel_storage_damaged_total 4\n",
	} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.Body)
		}
	}
}
