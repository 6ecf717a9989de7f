package oracle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// TestCopyThroughput measures COPY of SEGUE_COPY_BENCH rows, directly and through a proxy, in alternating runs. Run it without the race detector.
func TestCopyThroughput(t *testing.T) {
	rows, runs := 1000, 1 // to see that it works
	if env := os.Getenv("SEGUE_COPY_BENCH"); env != "" {
		n, err := strconv.Atoi(env)
		if err != nil {
			t.Fatalf("SEGUE_COPY_BENCH is %q: give the number of rows", env)
		}
		rows, runs = n, 5
	}
	var data bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&data, "%d\t%d\tuser%d@example.com\n", i, i*7, i)
	}
	ctx := context.Background()
	connect := func(addr, db, version string) *pgx.Conn {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s:%s/%s?sslmode=disable&options=-csegue.version%%3D%s", host, port, db, version))
		if err != nil {
			t.Fatal(err)
		}
		closes(t, func() error { return conn.Close(ctx) })
		return conn
	}
	direct := pgtest.Shared().Addr()
	type lane struct {
		name  string
		conn  *pgx.Conn
		text  string
		times []time.Duration
	}
	var lanes []*lane
	migrated := func(d lens.Definition, phase lens.Phase) (db, addr string) {
		db = pgtest.Database(t)
		pgtest.Exec(t, connect(direct, db, "old"), "CREATE TABLE items (id int PRIMARY KEY, value varchar(20), email text)", "CREATE TABLE bare (id int PRIMARY KEY, value varchar(20), email text)")
		addr, control := startProxy(t, pgtest.Shared().DSN(db))
		d.Name, d.Table = "items_amount", lens.TableName{Schema: "public", Name: "items"}
		l := &live{t: t, control: control}
		l.must(control.Start(ctx, &d, proxy.StartOptions{}))
		l.reach(lens.DualWrite)
		if phase > lens.DualWrite {
			l.must(control.Advance(ctx, d.Name, proxy.AdvanceOptions{To: &phase, Yes: true}))
			l.reach(phase)
		}
		return db, addr
	}
	rename := lens.Definition{RenameColumn: &lens.RenameColumn{From: "value", To: "amount"}}
	retype := lens.Definition{ChangeType: &lens.ChangeType{Column: "value", To: "amount", Type: "bigint", Up: `"value"::bigint`, Down: "amount::varchar"}}
	const in, out = "COPY %s (id, value, email) FROM STDIN", "COPY (SELECT i, i * 7, 'user' || i || '@example.com' FROM generate_series(1, %d) i) TO STDOUT"

	db, addr := migrated(rename, lens.DualWrite)
	lanes = append(lanes,
		&lane{name: "in, direct, no migration", conn: connect(direct, db, "old"), text: fmt.Sprintf(in, "bare")},
		&lane{name: "in, proxy, no migration", conn: connect(addr, db, "old"), text: fmt.Sprintf(in, "bare")},
		&lane{name: "in, direct, rename, the guard fills", conn: connect(direct, db, "old"), text: fmt.Sprintf(in, "items")},
		&lane{name: "in, proxy, rename, both written", conn: connect(addr, db, "old"), text: fmt.Sprintf(in, "items")},
		&lane{name: "out, direct", conn: connect(direct, db, "old"), text: fmt.Sprintf(out, rows)},
		&lane{name: "out, proxy", conn: connect(addr, db, "old"), text: fmt.Sprintf(out, rows)})
	db, addr = migrated(rename, lens.Complete)
	lanes = append(lanes, &lane{name: "in, proxy, rename, complete", conn: connect(addr, db, "old"), text: fmt.Sprintf(in, "items")})
	db, addr = migrated(retype, lens.DualWrite)
	lanes = append(lanes, &lane{name: "in, proxy, type, the guard fills", conn: connect(addr, db, "old"), text: fmt.Sprintf(in, "items")})
	db, addr = migrated(retype, lens.Complete)
	lanes = append(lanes, &lane{name: "in, proxy, type, complete, staged", conn: connect(addr, db, "old"), text: fmt.Sprintf(in, "items")})

	for range runs {
		for _, l := range lanes {
			pgtest.Exec(t, l.conn, "TRUNCATE items, bare")
			begun := time.Now()
			if l.name[:2] == "in" {
				tag, err := l.conn.PgConn().CopyFrom(ctx, bytes.NewReader(data.Bytes()), l.text)
				if err != nil || tag.RowsAffected() != int64(rows) {
					t.Fatalf("%s: %s %v", l.name, tag, err)
				}
			} else if _, err := l.conn.PgConn().CopyTo(ctx, io.Discard, l.text); err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			l.times = append(l.times, time.Since(begun))
		}
	}
	for _, l := range lanes {
		slices.Sort(l.times)
		median := l.times[len(l.times)/2]
		t.Logf("%-36s %8.0f rows/s, median of %d runs, %s to %s", l.name, float64(rows)/median.Seconds(), runs, l.times[0].Round(time.Millisecond), l.times[len(l.times)-1].Round(time.Millisecond))
	}
}
