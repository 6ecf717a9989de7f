package migrate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
)

// examined is what looking at the rows before a migration found.
type examined struct {
	rows                                int64
	failed, apart, null, unlike         int64
	failedAt, apartAt, nullAt, unlikeAt []string // their primary keys and what is wrong, the first of them
	took                                time.Duration
}

// report gives it for people and pipelines; nil where the rows have not been looked at.
func (x *examined) report() *RowsReport {
	if x == nil {
		return nil
	}
	list := func(s []string) []string { return append([]string{}, s...) }
	return &RowsReport{
		Rows: x.rows, NotConverted: x.failed, NotConvertedE: list(x.failedAt), NotBack: x.apart, NotBackE: list(x.apartAt),
		Null: x.null, NullE: list(x.nullAt), NotChecked: x.unlike, NotCheckedE: list(x.unlikeAt),
	}
}

// examine looks at every row before anything is changed: whether its values convert, whether they come back as they are, and whether the new columns would be
// null where they may not be. It reads by ranges of the primary key, each in a transaction of its own; what is written later, the guard looks at.
func (w *work) examine(ctx context.Context) error {
	if w.examined {
		return nil
	}
	if w.m.splitting() {
		return w.examineSplit(ctx)
	}
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	body := tryBody(g)
	if body == "" {
		return nil
	}
	var params, args []string
	for _, o := range g.old {
		params, args = append(params, o.typ), append(args, o.of("r"))
	}
	fn := tryFunction(w.name)
	if w.aside {
		fn = "pg_temp.segue_try"
	}
	if err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DROP FUNCTION IF EXISTS "+fn); err != nil { // another definition's
			return err
		}
		_, err := tx.Exec(ctx, "CREATE FUNCTION "+fn+"("+strings.Join(params, ", ")+") RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS "+dollars(body))
		return err
	}); err != nil {
		return fmt.Errorf("making the function %s: %w", fn, err)
	}
	x := &examined{}
	w.found = x
	began := time.Now()
	all, err := w.stored(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := w.byKey(ctx, r, func(keys *keyset) error { return w.examineBy(ctx, keys, fn+"("+strings.Join(args, ", ")+")", x) }); err != nil {
			return err
		}
	}
	if _, err := w.conn.Exec(ctx, "DROP FUNCTION IF EXISTS "+fn); err != nil {
		return fmt.Errorf("dropping the function %s: %w", fn, err)
	}
	w.examined = true
	x.took = time.Since(began)
	return x.err(w.name)
}

func (w *work) examineBy(ctx context.Context, keys *keyset, call string, x *examined) error {
	p := pace{target: 200 * time.Millisecond, rows: 5_000}
	var cursor []string
	told := time.Time{}
	for {
		if time.Since(told) > time.Second {
			told = time.Now()
			if err := w.say(ctx, "looking at the rows of %s: %d seen", keys.table, x.rows); err != nil {
				return err
			}
		}
		if err := w.c.opt.Hooks.at(ctx, "examine"); err != nil {
			return err
		}
		start := time.Now()
		var end []string
		if err := unlocked(ctx, func() error { return nil }, func() (err error) {
			end, err = keys.end(ctx, w.conn, cursor, p.rows)
			return err
		}); err != nil {
			return err
		}
		cond, args := keys.bounds(cursor, end, nil)
		sql := fmt.Sprintf(`WITH x AS MATERIALIZED (SELECT array_to_string(%s, ', ') AS key, %s AS found FROM ONLY %s AS r WHERE %s ORDER BY %s)
			SELECT count(*)`, keys.text(), call, keys.table, cond, keys.list(""))
		for _, kind := range []string{"f", "a", "n", "c"} {
			sql += fmt.Sprintf(", count(*) FILTER (WHERE left(found, 1) = '%s'), COALESCE((array_agg('(' || key || ') ' || substr(found, 2, 200)) FILTER (WHERE left(found, 1) = '%[1]s'))[1:%d], '{}')", kind, firstKeys)
		}
		var rows, failed, apart, null, unlike int64
		var failedAt, apartAt, nullAt, unlikeAt []string
		if err := unlocked(ctx, func() error { return nil }, func() error {
			return w.conn.QueryRow(ctx, sql+" FROM x", args...).Scan(&rows, &failed, &failedAt, &apart, &apartAt, &null, &nullAt, &unlike, &unlikeAt)
		}); err != nil {
			return fmt.Errorf("looking at the rows past (%s): %w", keyText(cursor), err)
		}
		x.rows, x.failed, x.apart, x.null = x.rows+rows, x.failed+failed, x.apart+apart, x.null+null
		x.failedAt, x.apartAt, x.nullAt = first(x.failedAt, failedAt), first(x.apartAt, apartAt), first(x.nullAt, nullAt)
		x.unlike, x.unlikeAt = x.unlike+unlike, first(x.unlikeAt, unlikeAt)
		if end == nil {
			return nil
		}
		cursor = end
		p.took(time.Since(start))
	}
}

// first adds to a list up to its bound.
func first(list, more []string) []string {
	return append(list, more[:min(len(more), firstKeys-len(list))]...)
}

// err is proxy.ErrInvalid where something was found.
func (x *examined) err(name string) error {
	var found []string
	if x.failed > 0 {
		found = append(found, fmt.Sprintf("%d of %d rows do not convert: %s: mend them, or let them become NULL with on_error = \"null\"", x.failed, x.rows, strings.Join(x.failedAt, "; ")))
	}
	if x.apart > 0 {
		found = append(found, fmt.Sprintf("%d of %d rows do not come back as they are: %s: mend them, or correct `up` and `down`, or take the loss with allow = [\"lossy\"]",
			x.apart, x.rows, strings.Join(x.apartAt, "; ")))
	}
	if x.null > 0 {
		found = append(found, fmt.Sprintf("%d of %d rows have no value for a column that is not_null: %s: mend them, or leave not_null out", x.null, x.rows, strings.Join(x.nullAt, "; ")))
	}
	if x.unlike > 0 {
		found = append(found, fmt.Sprintf("%d of %d rows would not be as `check` says: %s: mend them, or correct `check` or `up`", x.unlike, x.rows, strings.Join(x.unlikeAt, "; ")))
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("migration %s %w: %s", name, proxy.ErrInvalid, strings.Join(found, "; "))
}

// tryBody writes a function of the old columns that gives NULL where all is well with a row, else a letter for what is wrong (f: it does not convert; a: it
// does not come back as it is; n: it has no value) and more for people. It is "" where nothing can be wrong.
func tryBody(g *group) string {
	if g.Same || g.Dropping {
		return ""
	}
	place, conv := map[string]string{}, map[string]string{}
	for i, o := range g.old {
		place[o.name] = fmt.Sprintf("$%d", i+1)
	}
	var declare, up, down strings.Builder
	wanted := !g.OnErrorNull
	for i, n := range g.new {
		v := fmt.Sprintf("new_%d", i)
		conv[n.name] = v
		fmt.Fprintf(&declare, "  %s %s;\n", v, n.typ)
		otherwise := "RETURN 'f' || SQLERRM;"
		if g.OnErrorNull {
			otherwise = v + " := NULL;"
		}
		fmt.Fprintf(&up, "  BEGIN\n    %s := %s;\n  EXCEPTION WHEN %s THEN\n    %s\n  END;\n", v, g.New[i].Convert.Expand(func(c string) string { return place[c] }), unconvertible, otherwise)
		if g.New[i].NotNull {
			wanted = true
			fmt.Fprintf(&up, "  IF %s IS NULL THEN\n    RETURN %s;\n  END IF;\n", v, quoteLiteral("n"+n.name+" would be null"))
		}
	}
	for i, n := range g.new {
		if c := g.New[i].Check; c != nil {
			wanted = true
			fmt.Fprintf(&up, "  IF NOT (%s) THEN\n    RETURN %s;\n  END IF;\n", c.Expand(func(c string) string { return conv[c] }), quoteLiteral("c"+n.name+" would not"))
		}
	}
	for i, o := range g.old {
		if g.Lossy || g.Old[i].Down == nil {
			continue
		}
		wanted = true
		v := fmt.Sprintf("back_%d", i)
		fmt.Fprintf(&declare, "  %s %s;\n", v, o.typ)
		fmt.Fprintf(&down, "  BEGIN\n    %s := %s;\n  EXCEPTION WHEN %s THEN\n    RETURN 'a' || SQLERRM;\n  END;\n", v, g.Old[i].Down.Expand(func(c string) string { return conv[c] }), unconvertible)
		fmt.Fprintf(&down, "  IF NOT record_image_eq(ROW(%s), ROW(%s)) THEN\n    RETURN concat(%s, quote_nullable(%[1]s::text), ' would come back as ', quote_nullable(%[2]s::text));\n  END IF;\n",
			place[o.name], v, quoteLiteral("a"+o.name+" "))
	}
	if !wanted {
		return ""
	}
	return "DECLARE\n" + declare.String() + "BEGIN\n" + up.String() + down.String() + "  RETURN NULL;\nEND"
}
