package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// keyset walks a table by its primary key, of any types: each key is kept as text, and compared as a row.
type keyset struct {
	writer  string // the search path of who writes the table's rows: the role's and the database's own, and then the schemas of the operators of the key's types
	table   string
	columns []string // as SQL
	types   []string
}

// byKey runs f with the primary key of a relation that stores rows, while the session finds the operators of its types and waits for no lock for long. Afterwards the search path
// is again what everything else needs it to be.
func (w *work) byKey(ctx context.Context, r relative, f func(*keyset) error) error {
	keys, err := readKeyset(ctx, w.conn, r.oid, r.name)
	if err == nil {
		err = set(ctx, w.conn, "lock_timeout", batchLockTimeout)
	}
	if err == nil {
		err = f(keys)
	}
	if w.conn.IsClosed() || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, set(ctx, w.conn, "lock_timeout", "0"), set(ctx, w.conn, "search_path", "pg_catalog"))
}

// locked says that a statement was given up because somebody has a lock, or waits for one in front of it.
func locked(err error) bool {
	code := sqlState(err)
	return code == "55P03" || code == "40P01"
}

// unlocked runs f until no lock is in its way; told is called each time that one is.
func unlocked(ctx context.Context, told func() error, f func() error) error {
	retry := backoff{next: 50 * time.Millisecond, longest: 2 * time.Second}
	for {
		err := f()
		if !locked(err) {
			return err
		}
		if err := told(); err != nil {
			return err
		}
		if err := retry.pause(ctx); err != nil {
			return err
		}
	}
}

// readKeyset reads a table's primary key, and lets the session find the operators of its types.
func readKeyset(ctx context.Context, q queryer, table uint32, name string) (*keyset, error) {
	schemas, err := collect(ctx, q, `
		SELECT DISTINCT quote_ident(n.nspname) FROM pg_index i JOIN pg_opclass o ON o.oid = ANY (i.indclass::oid[]) JOIN pg_namespace n ON n.oid = o.opcnamespace
		WHERE i.indrelid = $1 AND i.indisprimary AND n.nspname <> 'pg_catalog' ORDER BY 1`, pgx.RowTo[string], table)
	if err != nil {
		return nil, fmt.Errorf("reading the primary key: %w", err)
	}
	if _, err := q.Exec(ctx, "SET search_path = "+strings.Join(append([]string{"pg_catalog"}, schemas...), ", ")); err != nil {
		return nil, fmt.Errorf("reading the primary key: %w", err)
	}
	k := &keyset{table: name}
	if err := q.QueryRow(ctx, "SELECT concat_ws(', ', NULLIF((SELECT reset_val FROM pg_settings WHERE name = 'search_path'), ''), NULLIF($1, ''))", strings.Join(schemas, ", ")).Scan(&k.writer); err != nil {
		return nil, fmt.Errorf("reading the search path: %w", err)
	}
	rows, err := q.Query(ctx, `
		SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
		WHERE i.indrelid = $1 AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place`, table)
	if err != nil {
		return nil, fmt.Errorf("reading the primary key: %w", err)
	}
	var column, typ string
	if _, err := pgx.ForEachRow(rows, []any{&column, &typ}, func() error {
		k.columns, k.types = append(k.columns, catalog.QuoteIdent(column)), append(k.types, typ)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading the primary key: %w", err)
	}
	if len(k.columns) == 0 {
		return nil, fmt.Errorf("%s has no primary key any more: add one", name)
	}
	return k, nil
}

// list gives the key's columns of r, joined, with what is put before and after each.
func (k *keyset) list(after string) string {
	var out []string
	for _, c := range k.columns {
		out = append(out, "r."+c+after)
	}
	return strings.Join(out, ", ")
}

// text is the key of r as text[].
func (k *keyset) text() string { return "ARRAY[" + k.list("::text") + "]" }

// bounds is the condition that r's key is past from and up to to; nil is no bound. The parameters go behind args.
func (k *keyset) bounds(from, to []string, args []any) (string, []any) {
	var conds []string
	for _, b := range []struct {
		op  string
		key []string
	}{{">", from}, {"<=", to}} {
		if b.key == nil {
			continue
		}
		var values []string
		for i, v := range b.key {
			args = append(args, v)
			values = append(values, fmt.Sprintf("$%d::text::%s", len(args), k.types[i]))
		}
		conds = append(conds, fmt.Sprintf("(%s) %s (%s)", k.list(""), b.op, strings.Join(values, ", ")))
	}
	if len(conds) == 0 {
		return "true", args
	}
	return strings.Join(conds, " AND "), args
}

// end gives the key that is n rows past from; nil where fewer are left.
func (k *keyset) end(ctx context.Context, q queryer, from []string, n int64) ([]string, error) {
	cond, args := k.bounds(from, nil, []any{n - 1})
	found, err := collect(ctx, q, fmt.Sprintf("SELECT %s FROM ONLY %s AS r WHERE %s ORDER BY %s OFFSET $1 LIMIT 1", k.text(), k.table, cond, k.list("")),
		pgx.RowTo[[]string], args...)
	if err != nil {
		return nil, fmt.Errorf("looking for the end of a batch: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// keyText writes a key for people.
func keyText(key []string) string { return strings.Join(key, ", ") }
