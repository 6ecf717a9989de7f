package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tables are where clients work, and columns the tracks that each has.
var (
	tables  = [...]string{"items", "notes"}
	columns = [...][]int{{0, 1}, {2}}
)

// row is what a client knows of a row that only it writes.
type row struct {
	table int
	n     int64   // the writes so far; a column that does not migrate
	v     []int64 // as columns
}

func (r *row) clone() *row {
	c := *r
	c.v = slices.Clone(r.v)
	return &c
}

// client is one connection of an application, which checks every answer against its record of what was acknowledged.
type client struct {
	w     *world
	n     int
	isNew bool
	rnd   *rand.Rand
	mode  pgx.QueryExecMode
	slot  *slot
	conn  *pgx.Conn
	named map[string]bool // the statements that the connection has by SQL's PREPARE
	next  int64

	rows  map[int64]*row
	ids   []int64
	limbo map[int64][]*row // rows whose last write failed: which of these they are is not known; nil: not there
}

var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec,
}

func newClient(w *world, n int) *client {
	return &client{
		w: w, n: n, isNew: n%2 == 1, mode: modes[n%len(modes)], rnd: rand.New(rand.NewPCG(w.seed, 1000+uint64(n))),
		next: int64(n) * 10_000_000, rows: map[int64]*row{}, limbo: map[int64][]*row{},
	}
}

func (c *client) String() string {
	kind := "old"
	if c.isNew {
		kind = "new"
	}
	return fmt.Sprintf("client %d (%s code, %s) at %s", c.n, kind, c.mode, c.slot)
}

// errWrong marks an answer that is not what the record says.
var errWrong = errors.New("wrong answer")

// run works until stop is closed, or ctx ends.
func (c *client) run(ctx context.Context, stop <-chan struct{}) {
	defer c.disconnect()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(upTo(c.rnd, 40*time.Millisecond)):
		}
		if c.conn == nil && !c.connect(ctx) || c.rnd.IntN(500) == 0 { // some connections are short
			c.disconnect()
			continue
		}
		c.step(ctx)
	}
}

func (c *client) connect(ctx context.Context) bool {
	c.slot = c.w.slots[c.rnd.IntN(len(c.w.slots))]
	p := c.slot.process()
	q := url.Values{"sslmode": {"disable"}, "application_name": {fmt.Sprintf("client-%d", c.n)}}
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://app@%s/chaos?%s", p.addr, q.Encode()))
	if err != nil {
		c.w.fail("%s: %v", c, err)
		return false
	}
	cfg.DefaultQueryExecMode = c.mode
	begun := time.Now()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		c.judge(ctx, "connecting", err, begun)
		return false
	}
	c.conn, c.named = conn, map[string]bool{}
	return true
}

func (c *client) disconnect() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.conn.Close(ctx) // of a connection that is given up nothing is expected
	c.conn = nil
}

// judge says whether an error is one that the client may have seen, given what was done to its proxy.
func (c *client) judge(ctx context.Context, what string, err error, begun time.Time) {
	now := time.Now()
	if ctx.Err() != nil {
		return
	}
	var pg *pgconn.PgError
	code := "connection lost"
	if errors.As(err, &pg) {
		code = pg.Code
	}
	outage := c.w.outage(begun, now)
	switch {
	case errors.Is(err, errWrong):
	// 25006 is what a standby says to who has come to it before it is promoted.
	case outage && (pg == nil || slices.Contains([]string{"57P01", "57P02", "57P03", "08006", "25006"}, code)),
		c.slot.disturbed(begun, now) && (pg == nil || code == "57P01" || code == "57P03"):
		c.w.count("clients' errors, excused: " + code)
		return
	}
	c.w.fail("%s, %v after it began: %s: %v", c, now.Sub(begun).Round(time.Millisecond), what, err)
}

// statement is one statement and what it is to give.
type statement struct {
	sql  string
	args []any
	want [][]any // nil: it gives no rows
	tag  string  // "": any
}

// do runs statements one after the other and checks each answer.
func (c *client) do(ctx context.Context, list ...statement) error {
	for _, s := range list {
		begun := time.Now()
		rows, err := c.conn.Query(ctx, s.sql, s.args...)
		if err == nil {
			err = s.check(rows)
		}
		c.took(s.sql, begun, err)
		if err != nil {
			return fmt.Errorf("%s %v: %w", s.sql, s.args, err)
		}
	}
	return nil
}

// took notes how long a statement took, of a proxy to which nothing was done.
func (c *client) took(sql string, begun time.Time, err error) {
	now := time.Now()
	if err != nil || c.slot.disturbed(begun, now) || c.w.outage(begun, now) {
		return
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.counts["statements"]++
	if d := now.Sub(begun); d > c.w.longest {
		c.w.longest, c.w.longestOf = d, fmt.Sprintf("%s, from %s: %s", c, begun.UTC().Format("15:04:05.000"), sql)
	}
}

func (s statement) check(rows pgx.Rows) error {
	defer rows.Close()
	var got [][]any
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			return err
		}
		got = append(got, v)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	if s.want != nil && fmt.Sprint(got) != fmt.Sprint(s.want) || s.tag != "" && rows.CommandTag().String() != s.tag {
		return fmt.Errorf("%w: got %v, %q, want %v, %q", errWrong, got, rows.CommandTag(), s.want, s.tag)
	}
	return nil
}

// use is a column as the client's code knows it, for the time of a step.
type use struct {
	t   *track
	gen int
	i   int // its place in row.v
}

func (u use) name() string      { return u.t.name(u.gen) }
func (u use) value(v int64) any { return u.t.value(u.gen, v) }
func (u use) sql(s string) string {
	return strings.NewReplacer("$t", u.t.table, "$c", u.name()).Replace(s)
}

// step does one thing, picked at random.
func (c *client) step(ctx context.Context) {
	table := c.rnd.IntN(len(tables))
	i := c.rnd.IntN(len(columns[table]))
	u := use{t: c.w.tracks[columns[table][i]], i: i}
	u.gen = u.t.take(c.n, c.isNew)
	defer u.t.drop(c.n)
	begun := time.Now()
	what, touched, err := c.act(ctx, table, u)
	if err == nil {
		return
	}
	// What was written is now one or the other.
	for id, after := range touched {
		c.limbo[id] = []*row{c.rows[id], after}
		c.forget(id)
	}
	c.judge(ctx, what, err, begun)
	c.disconnect()
}

func (c *client) remember(id int64, r *row) {
	if _, ok := c.rows[id]; !ok {
		c.ids = append(c.ids, id)
	}
	c.rows[id] = r
}

func (c *client) forget(id int64) {
	if _, ok := c.rows[id]; ok {
		delete(c.rows, id)
		c.ids = slices.DeleteFunc(c.ids, func(x int64) bool { return x == id })
	}
}

// any gives a row of a table; 0 where there is none.
func (c *client) any(table int) (int64, *row) {
	for range 10 {
		if len(c.ids) == 0 {
			break
		}
		id := c.ids[c.rnd.IntN(len(c.ids))]
		if r := c.rows[id]; r.table == table {
			return id, r
		}
	}
	return 0, nil
}

// act does one thing. touched are the rows that it writes, as they are afterwards.
func (c *client) act(ctx context.Context, table int, u use) (what string, touched map[int64]*row, err error) {
	id, r := c.any(table)
	kind := c.rnd.IntN(24)
	if r == nil || len(c.ids) < 20 || kind == 0 && len(c.ids) < 60 {
		return c.insert(ctx, table, u)
	}
	after := r.clone()
	c.next++
	after.v[u.i], after.n = c.next, r.n+1
	was, is := u.value(r.v[u.i]), u.value(after.v[u.i])
	read := func(r *row) statement {
		return statement{sql: u.sql("SELECT n, $c FROM $t WHERE id = $1"), args: []any{id}, want: [][]any{{r.n, u.value(r.v[u.i])}}}
	}
	write := statement{sql: u.sql("UPDATE $t SET $c = $1, n = n + 1 WHERE id = $2"), args: []any{is, id}, tag: "UPDATE 1"}
	wrote := map[int64]*row{id: after}
	done := func(err error) error {
		if err == nil {
			c.remember(id, after)
		}
		return err
	}
	switch {
	case kind < 5:
		return "reading", nil, c.do(ctx, read(r))
	case kind < 6 && was != nil:
		return "looking up", nil, c.do(ctx, statement{sql: u.sql("SELECT id FROM $t WHERE $c = $1 AND owner = $2"), args: []any{was, c.n}, want: [][]any{{id}}})
	case kind < 7:
		return "reading all columns", nil, c.star(ctx, id, r, u)
	case kind < 10:
		return "writing", wrote, done(c.do(ctx, write))
	case kind < 11 && was != nil:
		return "comparing and writing", wrote, done(c.do(ctx, statement{
			sql: u.sql("UPDATE $t SET $c = $1, n = n + 1 WHERE id = $2 AND $c = $3 RETURNING $c"), args: []any{is, id, was}, want: [][]any{{is}}, tag: "UPDATE 1",
		}))
	case kind < 12 && len(c.ids) > 40:
		err := c.do(ctx, statement{sql: u.sql("DELETE FROM $t WHERE id = $1 RETURNING $c"), args: []any{id}, want: [][]any{{was}}, tag: "DELETE 1"})
		if err == nil {
			c.forget(id)
		}
		return "deleting", map[int64]*row{id: nil}, err
	case kind < 13:
		return "a pipeline", wrote, done(c.pipeline(ctx, read(r), write, read(after)))
	case kind < 14:
		err := c.do(ctx, statement{sql: "BEGIN"}, read(r), write, read(after), statement{sql: "ROLLBACK", tag: "ROLLBACK"}, read(r))
		return "rolling back", nil, err
	case kind < 15:
		return "upserting", wrote, done(c.do(ctx, statement{
			sql:  u.sql("INSERT INTO $t AS x (id, owner, n, $c) VALUES ($1, $2, 99, $3) ON CONFLICT (id) DO UPDATE SET $c = EXCLUDED.$c, n = x.n + 1 RETURNING x.n, x.$c"),
			args: []any{id, c.n, is}, want: [][]any{{after.n, is}},
		}))
	}
	switch kind {
	case 20:
		return "a cursor", wrote, done(c.cursor(ctx, u, id, r, after, write))
	case 21:
		return "SQL's PREPARE", nil, c.prepared(ctx, u, id, r)
	case 22:
		if len(c.ids) < 60 {
			return c.copyIn(ctx, table, u)
		}
	case 23:
		if c.rnd.IntN(4) == 0 { // there may be a few at once only
			return "two-phase commit", wrote, done(c.twoPhase(ctx, write))
		}
	}
	return c.transaction(ctx, u, id, after, read(r), write, read(after))
}

// transaction writes a row or two, with time between its statements: phases change meanwhile.
func (c *client) transaction(ctx context.Context, u use, id int64, after *row, before, write, reread statement) (string, map[int64]*row, error) {
	wrote := map[int64]*row{id: after}
	lock := before
	lock.sql += " FOR UPDATE"
	list := []statement{{sql: "BEGIN"}, lock, write, reread}
	if other, r := c.any(after.table); r != nil && other != id {
		second := r.clone()
		c.next++
		second.v[u.i], second.n = c.next, r.n+1
		list = append(list, statement{sql: write.sql, args: []any{u.value(c.next), other}, tag: "UPDATE 1"})
		wrote[other] = second
	}
	for _, s := range append(list, statement{sql: "COMMIT", tag: "COMMIT"}) {
		if err := c.do(ctx, s); err != nil {
			return "a transaction", wrote, err
		}
		if c.rnd.IntN(3) == 0 && !sleep(ctx, upTo(c.rnd, 50*time.Millisecond)) {
			return "a transaction", wrote, ctx.Err()
		}
	}
	for id, r := range wrote {
		c.remember(id, r)
	}
	return "", nil, nil
}

func (c *client) insert(ctx context.Context, table int, u use) (string, map[int64]*row, error) {
	c.next++
	id, r := c.next, &row{table: table, v: make([]int64, len(columns[table]))}
	for i := range r.v {
		r.v[i] = null
	}
	r.v[u.i] = id
	err := c.do(ctx, statement{sql: u.sql("INSERT INTO $t (id, owner, $c) VALUES ($1, $2, $3) RETURNING n"), args: []any{id, c.n, u.value(id)}, want: [][]any{{0}}, tag: "INSERT 0 1"})
	if err == nil {
		c.remember(id, r)
	}
	return "inserting", map[int64]*row{id: r}, err
}

// star reads a row by `*`, which must have just one of the names that the column has before and after the migration.
func (c *client) star(ctx context.Context, id int64, r *row, u use) error {
	sql := u.sql("SELECT * FROM $t WHERE id = $1")
	begun := time.Now()
	rows, err := c.conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for _, f := range rows.FieldDescriptions() {
		names = append(names, f.Name)
	}
	var got []any
	for rows.Next() {
		if got, err = rows.Values(); err != nil {
			return err
		}
	}
	rows.Close()
	c.took(sql, begun, rows.Err())
	if err := rows.Err(); err != nil {
		return err
	}
	found := 0
	for i, name := range names {
		for gen := u.gen - 1; gen <= u.gen+1 && i < len(got); gen++ {
			if name != u.t.name(gen) {
				continue
			}
			if found++; fmt.Sprint(got[i]) != fmt.Sprint(u.t.value(gen, r.v[u.i])) {
				found = 100
			}
		}
	}
	if found != 1 || len(names) != 3+len(r.v) {
		return fmt.Errorf("%s of row %d: %w: got %v %v, want the one of %s and %s that is there to be %d", sql, id, errWrong, names, got, u.t.name(u.gen), u.t.name(u.gen+1), r.v[u.i])
	}
	return nil
}

func (c *client) pipeline(ctx context.Context, list ...statement) error {
	b := &pgx.Batch{}
	for _, s := range list {
		b.Queue(s.sql, s.args...)
	}
	begun := time.Now()
	results := c.conn.SendBatch(ctx, b)
	err := func() error {
		for _, s := range list {
			rows, err := results.Query()
			if err != nil {
				return err
			}
			if err := s.check(rows); err != nil {
				return fmt.Errorf("%s %v: %w", s.sql, s.args, err)
			}
		}
		return nil
	}()
	if closed := results.Close(); err == nil {
		err = closed
	}
	c.took("a pipeline", begun, err)
	return err
}

// sit keeps transactions open, some of which have not touched a migrating table, until stop is closed: what keeps changes waiting.
func (c *client) sit(ctx context.Context, stop <-chan struct{}) {
	defer c.disconnect()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(upTo(c.rnd, time.Second)):
		}
		if c.conn == nil && !c.connect(ctx) {
			continue
		}
		begun := time.Now()
		err := func() error {
			touch := "SELECT count(*) FROM items"
			if c.rnd.IntN(2) == 0 {
				touch = "SELECT count(*) FROM others"
			}
			for _, sql := range []string{"BEGIN", touch, "SELECT count(*) FROM others", "COMMIT"} {
				if _, err := c.conn.Exec(ctx, sql); err != nil {
					return err
				}
				if !sleep(ctx, upTo(c.rnd, time.Second)) {
					return ctx.Err()
				}
			}
			return nil
		}()
		if err == nil {
			continue
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "57P01" && c.w.terminating(begun) {
			c.w.count("transactions ended by --terminate")
		} else {
			c.judge(ctx, "sitting", err, begun)
		}
		c.disconnect()
	}
}

// terminating says whether --terminate was in use at some time since.
func (w *world) terminating(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending.Load() > 0 || w.ended.After(since)
}
