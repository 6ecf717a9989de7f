package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"
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
