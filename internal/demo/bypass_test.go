package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// bypasser writes around the proxies, as the physical schema allows at the moment: to the old column, to the new one, or to both. What
// it has written it reads through the proxies, as old and as new code.
type bypasser struct {
	app    *application // its record and its failures, for the summary
	dsn    string
	serial int
	rnd    *rand.Rand

	old, new atomic.Pointer[string] // connection strings through the proxies; nil: do not read so
	written  atomic.Int64

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func startBypasser(t *testing.T, w *world) *bypasser {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bypasser{
		app: &application{dialect: dialect{app: "bypass"}, meter: newMeter()},
		dsn: w.server.DSNAs(appRole, database), rnd: rand.New(rand.NewPCG(1, 2)), cancel: cancel,
	}
	own := &worker{app: b.app, lo: 1, hi: 0} // no keys of its own at the start
	own.remember()
	b.app.workers = []*worker{own}
	b.wg.Go(func() {
		for ctx.Err() == nil {
			if err := b.work(ctx); err != nil && ctx.Err() == nil {
				b.app.meter.fail("%v", err)
				return
			}
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *bypasser) stop() {
	b.cancel()
	b.wg.Wait()
}

// work writes rows until ctx ends or something is wrong.
func (b *bypasser) work(ctx context.Context) error {
	direct, err := connectPlain(ctx, b.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = direct.Close(context.WithoutCancel(ctx)) }()
	record := b.app.workers[0]
	for ctx.Err() == nil {
		var columns []string
		err := direct.QueryRow(ctx, `SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = 'users'::regclass
			AND attname IN ('name', 'full_name') AND NOT attisdropped`).Scan(&columns)
		if err != nil {
			return err
		}
		if len(columns) == 2 && b.rnd.IntN(3) > 0 {
			columns = columns[b.rnd.IntN(2):][:1]
		}
		b.serial++
		u := user{name: fmt.Sprintf("around the proxies %d", b.serial), email: fmt.Sprintf("bypass-%d@example.com", b.serial)}
		id := int64(0)
		if len(record.ids) > 0 && b.rnd.IntN(2) == 0 {
			id = record.ids[b.rnd.IntN(len(record.ids))]
			u.email = record.users[id].email
			_, err = direct.Exec(ctx, "UPDATE users SET "+strings.Join(columns, " = $1, ")+" = $1 WHERE id = $2", u.name, id)
		} else {
			values := strings.TrimSuffix(strings.Repeat("$2, ", len(columns)), ", ")
			err = direct.QueryRow(ctx, "INSERT INTO users (email, "+strings.Join(columns, ", ")+") VALUES ($1, "+values+") RETURNING id", u.email, u.name).Scan(&id)
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42703" {
			continue // the column went in the meantime: such is life around the proxies
		}
		if err != nil {
			return fmt.Errorf("writing %v around the proxies: %w", columns, err)
		}
		record.put(id, u)
		b.written.Add(1)
		for _, through := range []struct {
			dsn    *string
			column string
		}{{b.old.Load(), "name"}, {b.new.Load(), "full_name"}} {
			if through.dsn == nil {
				continue
			}
			if err := readThrough(ctx, *through.dsn, through.column, id, u.name); err != nil {
				return fmt.Errorf("after writing %v around the proxies: %w", columns, err)
			}
		}
	}
	return nil
}

func readThrough(ctx context.Context, dsn, column string, id int64, want string) error {
	conn, err := connectPlain(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var got string
	if err := conn.QueryRow(ctx, "SELECT "+column+" FROM users WHERE id = $1", id).Scan(&got); err != nil {
		return fmt.Errorf("reading %s through a proxy: %w", column, err)
	}
	if got != want {
		return fmt.Errorf("reading %s through a proxy: got %q, want %q", column, got, want)
	}
	return nil
}

// connectPlain connects without a cache of prepared statements, which the schema's changes would spoil outside the proxies.
func connectPlain(ctx context.Context, dsn string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	return pgx.ConnectConfig(ctx, cfg)
}
