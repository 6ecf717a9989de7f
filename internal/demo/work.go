package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// work is one thing that an application does, with how often it does it.
type work struct {
	weight int
	do     func(*worker, context.Context) error
}

var works = []work{
	{14, (*worker).readByKey},
	{8, (*worker).readByName},
	{6, (*worker).readStar},
	{4, (*worker).readJoined},
	{4, (*worker).readJoinedByName},
	{3, (*worker).readRange},
	{2, (*worker).readAggregate},
	{3, (*worker).readSubselect},
	{6, (*worker).insertOne},
	{2, (*worker).insertMany},
	{2, (*worker).insertListless},
	{8, (*worker).updateByKey},
	{3, (*worker).updateByName},
	{3, (*worker).updateByExpression},
	{4, (*worker).deleteByKey},
	{2, (*worker).deleteByName},
	{3, (*worker).addOrder},
	{4, (*worker).transaction},
	{3, (*worker).rollback},
	{3, (*worker).pipeline},
	{4, (*worker).upsertHot},
	{4, (*worker).readHot},
}

func weight(works []work) (n int) {
	for _, w := range works {
		n += w.weight
	}
	return n
}

// step does one thing, picked at random.
func (w *worker) step(ctx context.Context) error {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return fmt.Errorf("connecting again: %w", err)
		}
	}
	n := w.rnd.IntN(weight(w.app.works))
	for _, work := range w.app.works {
		if n -= work.weight; n < 0 {
			return work.do(w, ctx)
		}
	}
	panic("unreachable: the weights are added up")
}

// sql puts what this application calls the column into a statement. $c stands for it.
func (d *dialect) sql(text string) string { return strings.ReplaceAll(text, "$c", d.column) }

// newName makes a name that no other row has.
func (w *worker) newName() string {
	first := [...]string{"Ada", "Edgar", "Grace", "Barbara", "Michael", "Margaret", "Jim", "Frances", "Donald", "Radia"}
	last := [...]string{"Byron", "Codd", "Hopper", "Liskov", "Stonebraker", "Hamilton", "Gray", "Allen", "Chamberlin", "Perlman"}
	w.serial++
	return fmt.Sprintf("%s %s %s-%d", first[w.rnd.IntN(len(first))], last[w.rnd.IntN(len(last))], w.name(), w.serial)
}

// newUser makes a row that no other row is like. Its e-mail address tells it from all others.
func (w *worker) newUser() user {
	name := w.newName()
	return user{name: name, email: fmt.Sprintf("%s-%d@example.com", w.name(), w.serial)}
}

func (w *worker) readByKey(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{id, u.name, u.email, u.logins}},
		w.app.sql("SELECT id, $c, email, logins FROM users WHERE id = $1"), id)
}

func (w *worker) readByName(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{id, u.name, u.email}},
		w.app.sql("SELECT u.id, u.$c, u.email FROM users AS u WHERE u.$c = $1"), u.name)
}

// readStar checks the result's shape as well: `*` must be the table that the application was written for.
func (w *worker) readStar(ctx context.Context) error {
	id, u := w.pick()
	sql := "SELECT * FROM users WHERE id = $1"
	a := w.query(ctx, sql, id)
	if a.failed != nil {
		return a.failed
	}
	if strings.Join(a.names, " ") != strings.Join(w.app.star, " ") {
		return w.failed(sql, []any{id}, fmt.Errorf("%w: got columns %v, want %v", errWrong, a.names, w.app.star))
	}
	want := map[string]any{"id": id, w.app.column: u.name, "email": u.email, "logins": u.logins}
	for i := range a.rows {
		for j, name := range a.names {
			if name == "created_at" {
				want[name] = a.rows[i][j]
			}
		}
	}
	row := make([]any, 0, len(a.names))
	for _, name := range a.names {
		row = append(row, want[name])
	}
	return w.same(a, [][]any{row}, sql, []any{id})
}

func (w *worker) readJoined(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{u.name, u.orders, u.total}},
		w.app.sql("SELECT u.$c, count(o.id), coalesce(sum(o.total), 0)::bigint FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id = $1 GROUP BY u.id"), id)
}

func (w *worker) readJoinedByName(ctx context.Context) error {
	_, u := w.pick()
	var want [][]any
	if u.orders > 0 {
		want = [][]any{{u.name, u.orders, u.total}}
	}
	return w.rows(ctx, want, w.app.sql(`SELECT u.$c AS who, count(*), sum(o.total)::bigint -- orders of one user
		FROM orders o JOIN users u ON u.id = o.user_id WHERE u.$c = $1 GROUP BY u.$c ORDER BY who`), u.name)
}

func (w *worker) readRange(ctx context.Context) error {
	if len(w.lost) > 0 { // after a failure it is not known which rows are there
		return w.readByKey(ctx)
	}
	lo := w.lo + w.rnd.Int64N(max(w.hi-w.lo-20, 1))
	var want [][]any
	for _, id := range w.between(lo, lo+20) {
		want = append([][]any{{id, w.users[id].name}}, want...)
	}
	return w.rows(ctx, want, w.app.sql("SELECT id, $c FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id DESC"), lo, lo+20)
}

func (w *worker) readAggregate(ctx context.Context) error {
	if len(w.lost) > 0 { // after a failure it is not known which rows are there
		return w.readByKey(ctx)
	}
	lo := w.lo + w.rnd.Int64N(max(w.hi-w.lo-50, 1))
	ids := w.between(lo, lo+50)
	if len(ids) == 0 {
		return nil
	}
	first, last := w.users[ids[0]].name, w.users[ids[0]].name
	for _, id := range ids {
		first, last = min(first, w.users[id].name), max(last, w.users[id].name)
	}
	return w.rows(ctx, [][]any{{int64(len(ids)), first, last}},
		w.app.sql("SELECT count($c), min($c), max($c) FROM users WHERE id BETWEEN $1 AND $2"), lo, lo+50)
}

func (w *worker) readSubselect(ctx context.Context) error {
	id, u := w.pick()
	var want [][]any
	if u.orders > 0 {
		want = [][]any{{u.orders, u.name}}
	}
	return w.rows(ctx, want, w.app.sql(`SELECT o.n, (SELECT u.$c FROM users u WHERE u.id = o.user_id)
		FROM (SELECT user_id, count(*) AS n FROM orders WHERE user_id = $1 GROUP BY user_id) o`), id)
}

// added checks what an INSERT ... RETURNING id gave and remembers the rows.
func (w *worker) added(ctx context.Context, users []user, sql string, args ...any) error {
	a := w.query(ctx, sql, args...)
	if a.failed == nil && len(a.rows) != len(users) {
		a.failed = w.failed(sql, args, fmt.Errorf("%w: got %v, want %d rows", errWrong, a.rows, len(users)))
	}
	for i, u := range users {
		if a.failed != nil {
			w.lost[u.email] = true
			continue
		}
		id, ok := a.rows[i][0].(int64)
		if !ok {
			w.lost[u.email] = true
			return w.failed(sql, args, fmt.Errorf("%w: got %v for a key", errWrong, a.rows[i]))
		}
		w.put(id, u)
	}
	return a.failed
}

func (w *worker) insertOne(ctx context.Context) error {
	u := w.newUser()
	return w.added(ctx, []user{u}, w.app.sql("INSERT INTO users ($c, email) VALUES ($1, $2) RETURNING id"), u.name, u.email)
}

func (w *worker) insertMany(ctx context.Context) error {
	a, b, c := w.newUser(), w.newUser(), w.newUser()
	return w.added(ctx, []user{a, b, c},
		w.app.sql("INSERT INTO users (email, $c) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING id"), a.email, a.name, b.email, b.name, c.email, c.name)
}

// insertListless names no column: the values come in the order in which this application's schema has them.
func (w *worker) insertListless(ctx context.Context) error {
	u := w.newUser()
	values := make([]string, 0, len(w.app.star))
	for _, column := range w.app.star {
		values = append(values, map[string]string{
			"id": "DEFAULT", "email": "$2", "logins": "0", "created_at": "DEFAULT", w.app.column: "$1",
		}[column])
	}
	return w.added(ctx, []user{u}, "INSERT INTO users VALUES ("+strings.Join(values, ", ")+") RETURNING id", u.name, u.email)
}

// changed runs a statement that writes one row, and remembers what it wrote; where it fails, the row is given up.
func (w *worker) changed(ctx context.Context, id int64, u user, want [][]any, tag, sql string, args ...any) error {
	a := w.query(ctx, sql, args...)
	err := a.failed
	if err == nil {
		err = w.same(a, want, sql, args)
	}
	if err == nil && a.tag != tag {
		err = w.failed(sql, args, fmt.Errorf("%w: got %q, want %q", errWrong, a.tag, tag))
	}
	if err != nil {
		w.lose(id)
		return err
	}
	w.put(id, u)
	return nil
}

func (w *worker) updateByKey(ctx context.Context) error {
	id, u := w.pick()
	u.name = w.newName()
	u.logins++
	return w.changed(ctx, id, u, nil, "UPDATE 1", w.app.sql("UPDATE users SET $c = $1, logins = logins + 1 WHERE id = $2"), u.name, id)
}

func (w *worker) updateByName(ctx context.Context) error {
	id, u := w.pick()
	before := u.name
	u.name = w.newName()
	return w.changed(ctx, id, u, [][]any{{id, u.name}}, "UPDATE 1",
		w.app.sql("UPDATE users SET $c = $1 WHERE $c = $2 RETURNING id, $c"), u.name, before)
}

func (w *worker) updateByExpression(ctx context.Context) error {
	id, u := w.pick()
	u.name = strings.ToUpper(u.name)
	return w.changed(ctx, id, u, [][]any{{u.name}}, "UPDATE 1",
		w.app.sql("UPDATE users AS u SET $c = upper(u.$c) WHERE u.id = $1 RETURNING u.$c"), id)
}

func (w *worker) deleted(ctx context.Context, id int64, want [][]any, sql string, args ...any) error {
	if len(w.ids) < 100 { // a small table is not to be emptied
		return w.insertOne(ctx)
	}
	if err := w.changed(ctx, id, w.users[id], want, "DELETE 1", sql, args...); err != nil {
		return err
	}
	w.remove(id)
	return nil
}

func (w *worker) deleteByKey(ctx context.Context) error {
	id, _ := w.pick()
	return w.deleted(ctx, id, nil, "DELETE FROM users WHERE id = $1", id)
}

func (w *worker) deleteByName(ctx context.Context) error {
	id, u := w.pick()
	return w.deleted(ctx, id, [][]any{{u.name, u.email}}, w.app.sql("DELETE FROM users u WHERE u.$c = $1 RETURNING $c, email"), u.name)
}

func (w *worker) addOrder(ctx context.Context) error {
	id, u := w.pick()
	total := w.rnd.Int64N(1000)
	u.orders++
	u.total += total
	return w.changed(ctx, id, u, nil, "INSERT 0 1", "INSERT INTO orders (user_id, total) VALUES ($1, $2)", id, total)
}

// transaction writes three rows and commits; what it wrote must be seen inside it, and after it.
func (w *worker) transaction(ctx context.Context) error { return w.inTransaction(ctx, "COMMIT") }

// rollback writes three rows and takes it back.
func (w *worker) rollback(ctx context.Context) error { return w.inTransaction(ctx, "ROLLBACK") }

func (w *worker) inTransaction(ctx context.Context, end string) (err error) {
	id, before := w.pick()
	u, added := before, w.newUser()
	u.name = w.newName()
	other, v := w.pick() // in no order of keys: whoever else locks rows must give way
	if other == id {
		return w.readByKey(ctx)
	}
	v.logins++
	defer func() {
		if err != nil {
			w.lose(id)
			w.lose(other)
			w.lost[added.email] = true
		}
	}()
	if err := w.tag(ctx, "BEGIN", "BEGIN"); err != nil {
		return err
	}
	if err := w.rows(ctx, [][]any{{before.name}}, w.app.sql("SELECT $c FROM users WHERE id = $1 FOR UPDATE"), id); err != nil {
		return err
	}
	if err := w.tag(ctx, "UPDATE 1", w.app.sql("UPDATE users SET $c = $2 WHERE id = $1"), id, u.name); err != nil {
		return err
	}
	if err := w.rows(ctx, [][]any{{v.name, v.logins}}, w.app.sql("UPDATE users SET logins = logins + 1 WHERE id = $1 RETURNING $c, logins"), other); err != nil {
		return err
	}
	sql := w.app.sql("INSERT INTO users ($c, email) VALUES ($1, $2) RETURNING id")
	a := w.query(ctx, sql, added.name, added.email)
	if a.failed != nil {
		return a.failed
	}
	if err := w.rows(ctx, [][]any{{u.name}, {added.name}},
		w.app.sql("SELECT $c FROM users WHERE $c IN ($1, $2) ORDER BY id"), u.name, added.name); err != nil {
		return err
	}
	if err := w.tag(ctx, end, end); err != nil {
		return err
	}
	if end == "ROLLBACK" {
		return w.rows(ctx, [][]any{{before.name}}, w.app.sql("SELECT $c FROM users WHERE $c IN ($1, $2)"), before.name, added.name)
	}
	w.put(id, u)
	w.put(other, v)
	newID, ok := a.rows[0][0].(int64)
	if !ok {
		return w.failed(sql, nil, fmt.Errorf("%w: got %v for a key", errWrong, a.rows))
	}
	w.put(newID, added)
	return nil
}

// pipeline sends several statements at once, before the first answer is there.
func (w *worker) pipeline(ctx context.Context) error {
	id, u := w.pick()
	before := u
	u.name = w.newName()
	read, write := w.app.sql("SELECT $c, logins FROM users WHERE id = $1"), w.app.sql("UPDATE users SET $c = $1 WHERE id = $2")
	var b pgx.Batch
	b.Queue(read, id)
	b.Queue(write, u.name, id)
	b.Queue(read, id)
	start := time.Now()
	w.due = w.due.Add(3 * w.pause)
	err := func() (err error) {
		results := w.conn.SendBatch(ctx, &b)
		defer func() {
			if closed := results.Close(); err == nil {
				err = closed
			}
		}()
		for _, want := range [][][]any{{{before.name, before.logins}}, nil, {{u.name, u.logins}}} {
			rows, err := results.Query()
			if err != nil {
				return err
			}
			a := collect(rows)
			if a.failed != nil {
				return a.failed
			}
			if err := w.same(a, want, "a pipeline", []any{id, u.name}); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		w.lose(id)
		return w.failed("a pipeline of "+read+"; "+write, []any{id, u.name}, err)
	}
	w.app.meter.done("a pipeline of "+read+"; "+write, 3, time.Since(start))
	w.put(id, u)
	return nil
}

// upsertHot writes a row that every worker of both applications writes, by ON CONFLICT.
func (w *worker) upsertHot(ctx context.Context) error {
	key := 1 + w.rnd.IntN(hotKeys)
	value := fmt.Sprintf("hot %d by %s #%d", key, w.name(), w.begun.Add(1))
	return w.rows(ctx, [][]any{{value}},
		w.app.sql("INSERT INTO users ($c, email) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET $c = EXCLUDED.$c, logins = users.logins + 1 RETURNING $c"),
		value, hotEmail(key))
}

func (w *worker) readHot(ctx context.Context) error {
	return w.readHotBy(ctx, w.app.sql("SELECT $c FROM users WHERE email = $1"))
}

// readHotBy reads a contended row by a statement whose parameter is its e-mail address.
func (w *worker) readHotBy(ctx context.Context, sql string) error {
	key := 1 + w.rnd.IntN(hotKeys)
	a := w.query(ctx, sql, hotEmail(key))
	if a.failed != nil {
		return a.failed
	}
	if len(a.rows) != 1 {
		return w.failed(sql, []any{hotEmail(key)}, fmt.Errorf("%w: got %v, want one row", errWrong, a.rows))
	}
	value, _ := a.rows[0][0].(string)
	if err := w.hot.check(key, value); err != nil {
		return w.failed(sql, []any{hotEmail(key)}, fmt.Errorf("%w: %w", errWrong, err))
	}
	return nil
}

func hotEmail(key int) string { return fmt.Sprintf("hot%d@example.org", key) }
