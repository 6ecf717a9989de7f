package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/lens"
)

// post asks something of a proxy's admin socket.
func (p *process) post(ctx context.Context, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.admin)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://segue"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST %s: %s: %s", path, resp.Status, answer)
	}
	return nil
}

// rename is the migration of a table's column name to full_name.
func rename(name, table string) *lens.Definition {
	return &lens.Definition{Name: name, Table: lens.TableName{Schema: "public", Name: table}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}}
}

// begin starts a migration by a proxy and waits until it is in dual-write.
func (w *world) begin(ctx context.Context, p *process, database string, d *lens.Definition) error {
	if err := p.post(ctx, "/v1/migrations", d); err != nil {
		return err
	}
	return w.query(ctx, database, func(c *pgx.Conn) error { return w.reached(ctx, c, d.Name, "dual-write") })
}

// reached waits until a migration is in a phase, settled, and nobody works on it.
func (w *world) reached(ctx context.Context, c *pgx.Conn, name, phase string) error {
	for {
		var at, working, failed string
		var settled bool
		if err := c.QueryRow(ctx, "SELECT m.phase, m.working, m.error, e.settled = e.current FROM segue.migration m, segue.epoch e WHERE m.name = $1", name).Scan(&at, &working, &failed, &settled); err != nil {
			return err
		}
		if failed != "" {
			return fmt.Errorf("taking %s to %s: %s", name, phase, failed)
		}
		if at == phase && working == "" && settled {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
