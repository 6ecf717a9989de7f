package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/rewrite/lens"
)

// checker compares the columns on the server itself, around the proxies, in every epoch that it meets.
func (w *world) checker(ctx context.Context) {
	o := &operator{w: w}
	defer o.close()
	for ctx.Err() == nil {
		err := o.ask(ctx, func(conn *pgx.Conn) error { return w.compare(ctx, conn) })
		var pg *pgconn.PgError
		// A column may go between two statements, since the snapshot is not of the catalog, and a table may be locked.
		if err != nil && ctx.Err() == nil && !(errors.As(err, &pg) && slices.Contains([]string{"42703", "55P03"}, pg.Code)) {
			w.fail("comparing the columns: %v", err)
			return
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// compare looks at every row, in one snapshot with the epoch.
func (w *world) compare(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '100ms'"); err != nil { // it is not to be in the way
			return err
		}
		var current, settled int64
		if err := tx.QueryRow(ctx, "SELECT current, settled FROM segue.epoch").Scan(&current, &settled); err != nil {
			return err
		}
		for _, t := range w.tracks {
			t.mu.Lock()
			gen := t.gen
			t.mu.Unlock()
			if err := w.compareTrack(ctx, tx, t, gen, current); err != nil {
				return err
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if current == settled {
			w.epochs[settled] = true
		}
		return nil
	})
}

func (w *world) compareTrack(ctx context.Context, tx pgx.Tx, t *track, gen int, epoch int64) error {
	name := fmt.Sprintf("%s_%s_%d", t.table, t.column, gen)
	var phase, step string
	var proved, both bool
	err := tx.QueryRow(ctx, "SELECT phase, step, proved, new_nums IS NOT NULL FROM segue.migration WHERE name = $1", name).Scan(&phase, &step, &proved, &both)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var p lens.Phase
	if err := p.UnmarshalText([]byte(phase)); err != nil {
		return err
	}
	if !both || p == lens.Retired || p == lens.Complete && step == "" {
		return nil
	}
	var apart int64
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+t.table+" WHERE "+t.apart(gen, !proved)).Scan(&apart); err != nil {
		return err
	}
	w.count("comparisons at " + phase)
	if apart > 0 {
		w.fail("epoch %d: %s at %s %s, proved %v: %d rows are apart", epoch, name, phase, step, proved, apart)
	}
	return nil
}

// final compares what is on the server with what the clients know.
func (w *world) final(ctx context.Context, clients []*client) error {
	conn, err := pgx.Connect(ctx, w.primary().DSN("chaos"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	found := map[int64]*row{}
	for table, name := range tables {
		sql := "SELECT id, n"
		var gens []int
		for _, n := range columns[table] {
			t := w.tracks[n]
			gen, err := t.standing(ctx, conn)
			if err != nil {
				return err
			}
			sql += ", " + t.name(gen)
			gens = append(gens, gen)
		}
		rows, err := conn.Query(ctx, sql+" FROM "+name)
		if err != nil {
			return err
		}
		for rows.Next() {
			v, err := rows.Values()
			if err != nil {
				return err
			}
			r := &row{table: table, n: v[1].(int64)}
			for i, x := range v[2:] {
				n, err := w.tracks[columns[table][i]].parse(gens[i], x)
				if err != nil {
					return err
				}
				r.v = append(r.v, n)
			}
			found[v[0].(int64)] = r
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	same := func(a, b *row) bool {
		if a == nil || b == nil {
			return a == b
		}
		return fmt.Sprint(*a) == fmt.Sprint(*b)
	}
	for _, c := range clients {
		for id, r := range c.rows {
			if !same(found[id], r) {
				w.fail("%s: row %d is %+v, and %+v was acknowledged", c, id, found[id], r)
			}
			delete(found, id)
		}
		for id, may := range c.limbo {
			if !same(found[id], may[0]) && !same(found[id], may[1]) {
				w.fail("%s: row %d is %+v, and should be %+v or %+v", c, id, found[id], may[0], may[1])
			}
			delete(found, id)
		}
		w.counts["rows acknowledged"] += len(c.rows)
		w.counts["rows in doubt"] += len(c.limbo)
	}
	for id, r := range found {
		w.fail("row %d is %+v, and nobody knows of it", id, r)
	}
	return nil
}
