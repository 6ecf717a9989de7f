package demo

import (
	"context"
	"fmt"
	"strings"
)

// splitDialect is that of an application whose names are in a table of their own.
var splitDialect = dialect{app: "new", column: "full_name", star: []string{"id", "email", "logins", "created_at"}, works: splitWorks}

var splitWorks = []work{
	{14, (*worker).readSplit},
	{8, (*worker).readSplitByName},
	{4, (*worker).readStar},
	{6, (*worker).readProfile},
	{4, (*worker).readProfileJoined},
	{3, (*worker).readProfileRange},
	{8, (*worker).insertBoth},
	{8, (*worker).updateProfile},
	{3, (*worker).updateProfileByName},
	{3, (*worker).updateProfileByExpression},
	{4, (*worker).updateLogins},
	{4, (*worker).deleteByKey},
	{2, (*worker).deleteByProfile},
	{3, (*worker).addOrder},
	{4, (*worker).splitTransaction},
	{3, (*worker).splitRollback},
	{4, (*worker).writeHotProfile},
	{4, (*worker).readHotProfile},
}

func (w *worker) readSplit(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{id, u.name, u.email, u.logins}},
		"SELECT u.id, p.full_name, u.email, u.logins FROM users u JOIN profiles p ON p.user_id = u.id WHERE u.id = $1", id)
}

func (w *worker) readSplitByName(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{id, u.name, u.email}},
		"SELECT u.id, p.full_name, u.email FROM profiles p JOIN users u ON u.id = p.user_id WHERE p.full_name = $1", u.name)
}

func (w *worker) readProfile(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{id, u.name}}, "SELECT * FROM profiles WHERE user_id = $1", id)
}

func (w *worker) readProfileJoined(ctx context.Context) error {
	id, u := w.pick()
	return w.rows(ctx, [][]any{{u.name, u.orders, u.total}},
		"SELECT p.full_name, count(o.id), coalesce(sum(o.total), 0)::bigint FROM profiles p LEFT JOIN orders o ON o.user_id = p.user_id WHERE p.user_id = $1 GROUP BY p.user_id", id)
}

func (w *worker) readProfileRange(ctx context.Context) error {
	if len(w.lost) > 0 { // after a failure it is not known which rows are there
		return w.readProfile(ctx)
	}
	lo := w.lo + w.rnd.Int64N(max(w.hi-w.lo-20, 1))
	var want [][]any
	for _, id := range w.between(lo, lo+20) {
		want = append([][]any{{id, w.users[id].name}}, want...)
	}
	return w.rows(ctx, want, "SELECT user_id, full_name FROM profiles WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id DESC", lo, lo+20)
}

// insertBoth makes a row in either table, in one statement.
func (w *worker) insertBoth(ctx context.Context) error {
	u := w.newUser()
	return w.added(ctx, []user{u},
		"WITH u AS (INSERT INTO users (email) VALUES ($2) RETURNING id) INSERT INTO profiles (user_id, full_name) SELECT id, $1 FROM u RETURNING user_id", u.name, u.email)
}

func (w *worker) updateProfile(ctx context.Context) error {
	id, u := w.pick()
	u.name = w.newName()
	return w.changed(ctx, id, u, nil, "UPDATE 1", "UPDATE profiles SET full_name = $1 WHERE user_id = $2", u.name, id)
}

func (w *worker) updateProfileByName(ctx context.Context) error {
	id, u := w.pick()
	before := u.name
	u.name = w.newName()
	return w.changed(ctx, id, u, [][]any{{id, u.name}}, "UPDATE 1",
		"UPDATE profiles SET full_name = $1 WHERE full_name = $2 RETURNING user_id, full_name", u.name, before)
}

func (w *worker) updateProfileByExpression(ctx context.Context) error {
	id, u := w.pick()
	u.name = strings.ToUpper(u.name)
	return w.changed(ctx, id, u, [][]any{{u.name}}, "UPDATE 1",
		"UPDATE profiles AS p SET full_name = upper(p.full_name) FROM users u WHERE u.id = p.user_id AND u.email = $1 RETURNING p.full_name", u.email)
}

func (w *worker) updateLogins(ctx context.Context) error {
	id, u := w.pick()
	u.logins++
	return w.changed(ctx, id, u, [][]any{{u.logins}}, "UPDATE 1", "UPDATE users SET logins = logins + 1 WHERE id = $1 RETURNING logins", id)
}

func (w *worker) deleteByProfile(ctx context.Context) error {
	id, u := w.pick()
	return w.deleted(ctx, id, [][]any{{u.name, u.email}},
		"DELETE FROM users u USING profiles p WHERE p.user_id = u.id AND p.full_name = $1 RETURNING p.full_name, u.email", u.name)
}

func (w *worker) splitTransaction(ctx context.Context) error {
	return w.inSplitTransaction(ctx, "COMMIT")
}

func (w *worker) splitRollback(ctx context.Context) error {
	return w.inSplitTransaction(ctx, "ROLLBACK")
}

// inSplitTransaction locks a row of the new table, writes it and one of the old table, and commits or takes it back.
func (w *worker) inSplitTransaction(ctx context.Context, end string) (err error) {
	id, before := w.pick()
	u := before
	u.name = w.newName()
	u.logins++
	defer func() {
		if err != nil {
			w.lose(id)
		}
	}()
	if err := w.tag(ctx, "BEGIN", "BEGIN"); err != nil {
		return err
	}
	if err := w.rows(ctx, [][]any{{before.name}}, "SELECT full_name FROM profiles WHERE user_id = $1 FOR UPDATE", id); err != nil {
		return err
	}
	if err := w.tag(ctx, "UPDATE 1", "UPDATE profiles SET full_name = $2 WHERE user_id = $1", id, u.name); err != nil {
		return err
	}
	if err := w.tag(ctx, "UPDATE 1", "UPDATE users SET logins = logins + 1 WHERE id = $1", id); err != nil {
		return err
	}
	if err := w.rows(ctx, [][]any{{u.name, u.logins}}, "SELECT p.full_name, u.logins FROM users u JOIN profiles p ON p.user_id = u.id WHERE p.full_name = $1", u.name); err != nil {
		return err
	}
	if err := w.tag(ctx, end, end); err != nil {
		return err
	}
	if end == "ROLLBACK" {
		u = before
	}
	w.put(id, u)
	return w.rows(ctx, [][]any{{u.name}}, "SELECT full_name FROM profiles WHERE user_id = $1", id)
}

// writeHotProfile writes a row that every worker of both applications writes.
func (w *worker) writeHotProfile(ctx context.Context) error {
	key := 1 + w.rnd.IntN(hotKeys)
	value := fmt.Sprintf("hot %d by %s #%d", key, w.name(), w.begun.Add(1))
	return w.rows(ctx, [][]any{{value}}, "UPDATE profiles SET full_name = $1 FROM users WHERE users.id = user_id AND email = $2 RETURNING full_name", value, hotEmail(key))
}

func (w *worker) readHotProfile(ctx context.Context) error {
	return w.readHotBy(ctx, "SELECT full_name FROM profiles JOIN users ON id = user_id WHERE email = $1")
}
