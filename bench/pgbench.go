package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"segue/internal/pgtest"
)

// load is one run of pgbench.
type load struct {
	addr     string // of what it connects to
	clients  int
	protocol string // simple, extended or prepared
	script   string // its text; "": -S
	seconds  int
	each     int  // transactions of each client, in the place of seconds; 0: as many as there is time for
	log      bool // the transactions' times are wanted
}

// done is what pgbench says of a run.
type done struct {
	count int64
	tps   float64
	micro []float64 // each transaction's time, where they were wanted
}

var (
	countLine = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	tpsLine   = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)
	failLine  = regexp.MustCompile(`number of failed transactions: (\d+)`)
)

func parsePgbench(out string) (d done, err error) {
	count, tps := countLine.FindStringSubmatch(out), tpsLine.FindStringSubmatch(out)
	if count == nil || tps == nil {
		return d, fmt.Errorf("pgbench printed what is not understood:\n%s", out)
	}
	if failed := failLine.FindStringSubmatch(out); failed != nil && failed[1] != "0" {
		return d, fmt.Errorf("pgbench counted %s failed transactions:\n%s", failed[1], out)
	}
	if d.count, err = strconv.ParseInt(count[1], 10, 64); err != nil {
		return d, err
	}
	d.tps, err = strconv.ParseFloat(tps[1], 64)
	return d, err
}

// pgbench runs a load against the world's database.
func (w *world) pgbench(ctx context.Context, l load) (done, error) {
	dir, err := os.MkdirTemp(w.dir, "pgbench-")
	if err != nil {
		return done{}, err
	}
	args := []string{"-n", "-M", l.protocol, "-c", strconv.Itoa(l.clients), "-j", strconv.Itoa(min(l.clients, 2))}
	if l.each > 0 {
		args = append(args, "-t", strconv.Itoa(l.each))
	} else {
		args = append(args, "-T", strconv.Itoa(l.seconds))
	}
	if l.script == "" {
		args = append(args, "-S")
	} else {
		file := filepath.Join(dir, "script.sql")
		if err := os.WriteFile(file, []byte(l.script), 0o644); err != nil {
			return done{}, err
		}
		args = append(args, "-f", file)
	}
	if l.log {
		args = append(args, "-l", "--log-prefix", filepath.Join(dir, "log"))
	}
	out, err := w.client(ctx, l.addr, "pgbench", args...)
	if err != nil {
		return done{}, err
	}
	d, err := parsePgbench(out)
	if err != nil || !l.log {
		return d, err
	}
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return d, err
	}
	for _, file := range logs {
		b, err := os.ReadFile(file)
		if err != nil {
			return d, err
		}
		for line := range strings.Lines(string(b)) { // client, number, microseconds, ...
			f := strings.Fields(line)
			if len(f) < 3 {
				return d, fmt.Errorf("pgbench's log has the line %q, which is not understood", line)
			}
			us, err := strconv.ParseFloat(f[2], 64)
			if err != nil {
				return d, err
			}
			d.micro = append(d.micro, us)
		}
	}
	return d, nil
}

// client runs one of PostgreSQL's client programs against the world's database, and gives what it printed.
func (w *world) client(ctx context.Context, addr, program string, args ...string) (string, error) {
	return w.clientOf(ctx, addr, database, program, args...)
}

func (w *world) clientOf(ctx context.Context, addr, database, program string, args ...string) (string, error) {
	exe, err := pgtest.FindProgram(program)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, exe, append([]string{"-h", host, "-p", port, "-U", loadRole}, append(args, database)...)...)
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, err, stderr.String()[max(0, stderr.Len()-2000):])
	}
	return out.String(), nil
}

// costs runs a load through a proxy, and gives its throughput and the proxy's CPU time a transaction, in microseconds. p is nil for the server itself.
func (w *world) costs(ctx context.Context, p *process, l load) (measures, error) {
	l.addr = w.server.Addr()
	if p == nil {
		d, err := w.pgbench(ctx, l)
		return measures{"tps": d.tps}, err
	}
	l.addr = p.addr
	before, err := cpuTime(p.pid())
	if err != nil {
		return nil, err
	}
	d, err := w.pgbench(ctx, l)
	if err != nil {
		return nil, err
	}
	after, err := cpuTime(p.pid())
	return measures{"tps": d.tps, "cpu": float64((after - before).Microseconds()) / float64(d.count)}, err
}

// connecting is how many seconds more a run of many clients gets, of which the first ones go by until all are connected.
func connecting(clients int) int { return clients / 100 }

// quickWarming is how many transactions of each client are a warming-up where time is short.
const quickWarming = 20

// warm runs a load for a second, or a little of it in a quick run, unmeasured.
func (w *world) warm(ctx context.Context, l load, ps ...*process) error {
	l.seconds = 1 + connecting(l.clients)
	if w.opt.quick {
		l.each = quickWarming
	}
	for _, p := range ps {
		if _, err := w.costs(ctx, p, l); err != nil {
			return err
		}
	}
	return nil
}
