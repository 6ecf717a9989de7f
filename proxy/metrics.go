package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"segue/rewrite"
)

// counters are what the metrics tell. All grow only.
type counters struct {
	accepted   atomic.Int64 // connections taken from listeners
	refused    atomic.Int64 // clients turned away: too many, or no server
	cancels    atomic.Int64
	fromClient atomic.Int64 // bytes
	fromServer atomic.Int64 // bytes
	passed     atomic.Int64 // statements on migrating tables, by what became of them
	rewritten  atomic.Int64
	rejected   atomic.Int64
	held       atomic.Int64 // statements that waited for the gate
	expired    atomic.Int64 // and were given up
}

func (c *counters) statement(k rewrite.Kind) {
	switch k {
	case rewrite.Pass:
		c.passed.Add(1)
	case rewrite.Rewrite:
		c.rewritten.Add(1)
	case rewrite.Refuse:
		c.rejected.Add(1)
	}
}

// serveMetrics answers in Prometheus' text format.
func (p *Proxy) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	c := &p.counters
	for _, m := range []struct {
		name, kind, labels, help string
		value                    int64
	}{
		{"segue_sessions", "gauge", "", "Clients connected now.", p.hub.sessions.Load()},
		{"segue_epoch", "gauge", "", "The epoch that new sessions begin with.", p.hub.current().Epoch},
		{"segue_connections_total", "counter", "", "Connections accepted.", c.accepted.Load()},
		{"segue_refused_connections_total", "counter", "", "Clients turned away: too many, or no server.", c.refused.Load()},
		{"segue_cancel_requests_total", "counter", "", "Cancel requests forwarded.", c.cancels.Load()},
		{"segue_received_bytes_total", "counter", `{from="client"}`, "Bytes received.", c.fromClient.Load()},
		{"segue_received_bytes_total", "counter", `{from="server"}`, "", c.fromServer.Load()},
		{"segue_statements_total", "counter", `{outcome="pass"}`, "Statements on migrating tables.", c.passed.Load()},
		{"segue_statements_total", "counter", `{outcome="rewrite"}`, "", c.rewritten.Load()},
		{"segue_statements_total", "counter", `{outcome="refuse"}`, "", c.rejected.Load()},
		{"segue_held_statements_total", "counter", "", "Statements that waited for the proxy's place among the proxies.", c.held.Load()},
		{"segue_expired_statements_total", "counter", "", "Held statements that were given up.", c.expired.Load()},
	} {
		if m.help != "" {
			fmt.Fprintf(&page, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		}
		fmt.Fprintf(&page, "%s%s %d\n", m.name, m.labels, m.value)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if _, err := w.Write(page.Bytes()); err != nil {
		p.log.Warn("answering with the metrics failed", zap.Error(err))
	}
}
