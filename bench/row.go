package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// row is one line of the table, or some that are measured together.
type row struct {
	id   string
	what string // is measured
	how  string // it is measured: for RESULTS.md
	run  func(ctx context.Context, w *world, res *result) error
}

// rows are all that is measured, in the order of the table.
var rows = []row{
	{
		"cpu-prepared", "the proxy's CPU time a transaction, prepared SELECT by key", "`pgbench -S -M prepared` with 1, 16 and 256 clients, on a table that does not migrate, while another one of " +
			"the database is in dual-write. The proxy's user and system time (/proc/PID/stat) over the run, by the transactions that pgbench counted.", func(ctx context.Context, w *world, res *result) error { return relay(ctx, w, res, "prepared") },
	},
	{"cpu-simple", "the same, simple protocol", "as before, with `-M simple`.", func(ctx context.Context, w *world, res *result) error { return relay(ctx, w, res, "simple") }},
	{"latency", "median latency added, 1 client", "`pgbench -S -c 1 -l`: the median of all transactions of a run, less the median of the direct run of the same round.", latency},
	{
		"rewritten", "a rewritten statement against the same one passed through", "pgbench with 16 clients: SELECT and UPDATE by key of a column that new code knows by its new name, in dual-write, against the same statements on a table " +
			"of the same shape that does not migrate. The proxy's CPU time by transaction. In the simple protocol each statement has another literal.", rewritten,
	},
	{
		"update", "UPDATE in dual-write through the proxy", "old code's UPDATE of the migrating column, through the proxy in dual-write, against one column and no proxy, and against both columns with a plpgsql trigger " +
			"(BEFORE ROW, reads search_path, writes the other side) and no proxy. One row by key with pgbench, 4 clients, prepared; and all rows of a table in one statement.", update,
	},
	{"memory", "resident memory for each idle connection", "so many connections that have each run one statement, through a proxy that has just been started: the growth of its Pss (/proc/PID/smaps_rollup), three seconds after the last one.", memory},
	{"copy", "COPY FROM STDIN", "COPY FROM STDIN of rows of 100 bytes, text format, sent over the raw protocol from memory, into an empty table with a primary key.", copyIn},
	{"result", "a large result", "a SELECT of many rows of 80 bytes by the simple protocol, read and dropped by a client over the raw protocol.", bigResult},
	{
		"connect", "connect, one query, disconnect", "eight clients that each connect, send `SELECT pg_backend_pid()`, take the answer and go, over the raw protocol. PgBouncer with `server_lifetime = 0`, by which each client gets a fresh server " +
			"connection, as every client of Segue's does; that it did is checked by the PIDs.", connect,
	},
	{
		"phase", "phase changes under load", "busy connections over four proxies, each with a statement every 250 ms (prepared SELECT and UPDATE by key, simple SELECT; half of them old code, half new code), while the migration goes backfill, " +
			"switch-reads, contract and back; against the same load for the same time with no change. Settled: from the epoch's commit to every proxy's acknowledgement, as the database has it, looked at every 2 ms.", phases,
	},
	{
		"backfill", "the backfill of an idle server", "rows a second from the epoch `backfill` to its last row, against `UPDATE ... WHERE id > a AND id <= b AND n IS NULL` by 10,000 rows in psql, on the same table, without a guard. " +
			"Each run on a table that has just been made.", backfill,
	},
	{
		"planning", "other sessions' p99 while statements are planned", "sixteen sessions with a prepared SELECT every 16 ms each, that names no migrating table, and beside them four sessions that send a statement with 100 others a second: each new to the " +
			"proxy and on the migrating table, so that it is planned; or, for comparison, the same on a table that does not migrate.", planning,
	},
}

// result is what a row gave; it is kept as JSON beside RESULTS.md, which is written from these files.
type result struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Seconds int       `json:"seconds"`
	Quick   bool      `json:"quick"`
	Rounds  int       `json:"rounds"`
	Load    string    `json:"load"` // /proc/loadavg when it began
	Machine []string  `json:"machine"`
	Commit  string    `json:"commit"`
	Figures []figure  `json:"figures"`
	Tables  []table   `json:"tables"`
	Plots   []string  `json:"plots"`
	Remarks []string  `json:"remarks,omitempty"`

	dir string
}

// figure is one ratio or value that has a target.
type figure struct {
	What     string `json:"what"`
	Against  string `json:"against"`
	Target   string `json:"target"` // "" where there is none
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
	Absolute string `json:"absolute"`
}

func (f figure) verdict() string {
	switch {
	case f.Target == "":
		return "-"
	case f.Met:
		return "met"
	}
	return "not met"
}

// atMost and atLeast make figures of ratios.
func atMost(what, against string, ratio, target float64, absolute string) figure {
	return figure{what, against, fmt.Sprintf("<= %.2f", target), fmt.Sprintf("%.2f", ratio), ratio <= target, absolute}
}

func atLeast(what, against string, ratio, target float64, absolute string) figure {
	return figure{what, against, fmt.Sprintf(">= %.2f", target), fmt.Sprintf("%.2f", ratio), ratio >= target, absolute}
}

type table struct {
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

func (r *result) save() error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, r.ID+".json"), append(b, '\n'), 0o644)
}

// lastResult reads what a row gave last; nil where it was not measured.
func lastResult(dir, id string) (*result, error) {
	b, err := os.ReadFile(filepath.Join(dir, id+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &result{dir: dir}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("reading what row %s gave: %w: remove %s and measure it again", id, err, filepath.Join(dir, id+".json"))
	}
	return r, nil
}

// plot keeps an SVG beside the result.
func (r *result) plot(name, svg string) error {
	file := r.ID + name + ".svg"
	r.Plots = append(r.Plots, file)
	return os.WriteFile(filepath.Join(r.dir, file), []byte(svg), 0o644)
}
