package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// cursor reads a row by a cursor that is open over a write and some time; what it shows is of before.
func (c *client) cursor(ctx context.Context, u use, id int64, before, after *row, write statement) error {
	name := "cur_" + u.name() // a FETCH that a driver keeps prepared keeps the types of its result
	for i, s := range []statement{
		{sql: "BEGIN"},
		{sql: u.sql(fmt.Sprintf("DECLARE "+name+" CURSOR FOR SELECT n, $c FROM $t WHERE id = %d", id))},
		write,
		{sql: "FETCH 1 FROM " + name, want: [][]any{{before.n, u.value(before.v[u.i])}}},
		{sql: "FETCH 1 FROM " + name, tag: "FETCH 0"},
		{sql: u.sql("SELECT n, $c FROM $t WHERE id = $1"), args: []any{id}, want: [][]any{{after.n, u.value(after.v[u.i])}}},
		{sql: "COMMIT", tag: "COMMIT"},
	} {
		if err := c.do(ctx, s); err != nil {
			return err
		}
		if i < 5 && !sleep(ctx, upTo(c.rnd, 30*time.Millisecond)) {
			return ctx.Err()
		}
	}
	return nil
}

// prepared reads a row by a statement of SQL's PREPARE, which outlives phase changes.
func (c *client) prepared(ctx context.Context, u use, id int64, r *row) error {
	name := fmt.Sprintf("p_%s_%s", u.t.table, u.name())
	if !c.named[name] {
		if _, err := c.raw(ctx, u.sql("PREPARE "+name+" (bigint) AS SELECT n, $c FROM $t WHERE id = $1")); err != nil {
			return err
		}
		c.named[name] = true
	}
	got, err := c.raw(ctx, fmt.Sprintf("EXECUTE %s (%d)", name, id))
	if err != nil {
		return err
	}
	value := ""
	if v := u.value(r.v[u.i]); v != nil {
		value = fmt.Sprint(v)
	}
	if want := fmt.Sprintf("%d %s", r.n, value); got != want {
		return fmt.Errorf("EXECUTE %s (%d): %w: got %q, not %q", name, id, errWrong, got, want)
	}
	return nil
}

// raw runs a text as it is, by the simple protocol, and gives the values of its rows, as text.
func (c *client) raw(ctx context.Context, sql string) (string, error) {
	begun := time.Now()
	results, err := c.conn.PgConn().Exec(ctx, sql).ReadAll()
	c.took(sql, begun, err)
	if err != nil {
		return "", fmt.Errorf("%s: %w", sql, err)
	}
	var values []string
	for _, r := range results {
		for _, row := range r.Rows {
			for _, v := range row {
				values = append(values, string(v))
			}
		}
	}
	return strings.Join(values, " "), nil
}

// copyIn inserts some rows by COPY.
func (c *client) copyIn(ctx context.Context, table int, u use) (string, map[int64]*row, error) {
	rows := map[int64]*row{}
	var data strings.Builder
	for range 1 + c.rnd.IntN(3) {
		c.next++
		r := &row{table: table, v: make([]int64, len(columns[table]))}
		for i := range r.v {
			r.v[i] = null
		}
		r.v[u.i] = c.next
		rows[c.next] = r
		fmt.Fprintf(&data, "%d\t%d\t%v\n", c.next, c.n, u.value(c.next))
	}
	begun := time.Now()
	sql := u.sql("COPY $t (id, owner, $c) FROM STDIN")
	tag, err := c.conn.PgConn().CopyFrom(ctx, strings.NewReader(data.String()), sql)
	if want := fmt.Sprint("COPY ", len(rows)); err == nil && tag.String() != want {
		err = fmt.Errorf("%w: %q, not %q", errWrong, tag, want)
	}
	c.took(sql, begun, err)
	if err == nil {
		for id, r := range rows {
			c.remember(id, r)
		}
	}
	return "copying in", rows, err
}

// twoPhase prepares a transaction and commits it after a while. One that was prepared and whose commit failed is brought to an end around the proxies, or it would keep
// changes waiting for ever: it is not known then which end it had.
func (c *client) twoPhase(ctx context.Context, write statement) (err error) {
	c.next++
	name := fmt.Sprintf("'chaos %d'", c.next)
	if err := c.do(ctx, statement{sql: "BEGIN"}, write); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.w.count("prepared transactions ended around the proxies")
			c.w.endPrepared(name)
		}
	}()
	if _, err := c.raw(ctx, "PREPARE TRANSACTION "+name); err != nil {
		return err
	}
	sleep(ctx, upTo(c.rnd, 300*time.Millisecond))
	_, err = c.raw(ctx, "COMMIT PREPARED "+name)
	return err
}

// endPrepared rolls a prepared transaction back. It tries for a while: what was sent to prepare it may still be on its way, and the server may be down.
func (w *world) endPrepared(name string) {
	for until := time.Now().Add(grace); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, w.primary().DSN("chaos"))
		if err == nil {
			_, err = conn.Exec(ctx, "ROLLBACK PREPARED "+name)
			_ = conn.Close(ctx) // it has said what it had to
		}
		cancel()
		if err == nil || time.Now().After(until) {
			return
		}
		sleep(context.Background(), 100*time.Millisecond)
	}
}
