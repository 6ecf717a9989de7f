package migrate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/catalog"
)

// examineSplit looks at every row before anything is changed: whether the new table would take it. What is written later, the new table looks at.
func (w *work) examineSplit(ctx context.Context) error {
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	tried, err := s.try(ctx, w.conn, w.m.Definition)
	if err != nil {
		return err
	}
	if err := tried.err(w.name); err != nil {
		return err
	}
	var found []string
	if len(tried.conditions) > 0 {
		keys := []string{}
		var rows int64
		counts := make([]int64, len(tried.conditions))
		family, err := w.stored(ctx)
		if err != nil {
			return err
		}
		for _, r := range family {
			if err := w.byKey(ctx, r, func(k *keyset) error { return w.examineSplitBy(ctx, k, s, tried, &rows, counts, &keys) }); err != nil {
				return err
			}
		}
		for i, c := range tried.conditions {
			if counts[i] > 0 {
				found = append(found, fmt.Sprintf("in %d of %d rows, %s", counts[i], rows, c.what))
			}
		}
		if len(found) > 0 {
			found = append(found, "the first are "+strings.Join(keys, "; ")+": mend them, or let `create` take them")
		}
	}
	for _, columns := range tried.unique {
		var cols []string
		for _, to := range columns {
			for _, c := range append(s.key[:len(s.key):len(s.key)], s.moved...) {
				if c.to == to {
					cols = append(cols, c.source("r"))
				}
			}
		}
		list := strings.Join(cols, ", ")
		twice, err := collect(ctx, w.conn, fmt.Sprintf("SELECT pg_catalog.concat_ws(', ', %s) FROM ONLY %s AS r WHERE pg_catalog.num_nulls(%[1]s) = 0 GROUP BY %[1]s HAVING count(*) > 1 LIMIT %[3]d", list, s.table, firstKeys), pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("looking for values that are there twice: %w", err)
		}
		if len(twice) > 0 {
			found = append(found, fmt.Sprintf("(%s) is unique in %s, and rows have the same: %s: mend them, or let `create` take them", strings.Join(columns, ", "), s.to, strings.Join(twice, "; ")))
		}
	}
	w.examined = true
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("migration %s %w: %s", w.name, proxy.ErrInvalid, strings.Join(found, "; "))
}

func (w *work) examineSplitBy(ctx context.Context, keys *keyset, s *split, tried *findings, rows *int64, counts []int64, first *[]string) error {
	p := pace{target: 200 * time.Millisecond, rows: 5_000}
	columns := each(append(s.key[:len(s.key):len(s.key)], s.moved...), ", ", func(c splitColumn) string { return c.source("r") + " AS " + catalog.QuoteIdent(c.to) })
	columns = strings.Join(append([]string{columns}, tried.extras...), ", ")
	var cursor []string
	told := time.Time{}
	for {
		if time.Since(told) > time.Second {
			told = time.Now()
			if err := w.say(ctx, "looking at the rows of %s: %d seen", keys.table, *rows); err != nil {
				return err
			}
		}
		if err := w.c.opt.Hooks.at(ctx, "examine"); err != nil {
			return err
		}
		start := time.Now()
		end, err := keys.end(ctx, w.conn, cursor, p.rows)
		if err != nil {
			return err
		}
		cond, args := keys.bounds(cursor, end, nil)
		var wants, alls []string
		for _, c := range tried.conditions {
			wants = append(wants, "count(*) FILTER (WHERE NOT ("+c.sql+"))")
			alls = append(alls, "("+c.sql+")")
		}
		sql := fmt.Sprintf("SELECT ARRAY[%s], (array_agg('(' || row_.segue_key || ')' ORDER BY row_.segue_key) FILTER (WHERE NOT (%s)))[1:%d], count(*) FROM (SELECT array_to_string(%s, ', ') AS segue_key, %s FROM ONLY %s AS r WHERE %s AND %s) AS row_",
			strings.Join(wants, ", "), strings.Join(alls, " AND "), firstKeys, keys.text(), columns, keys.table, cond, s.filled("r"))
		var n []int64
		var some []string
		var seen int64
		if err := w.conn.QueryRow(ctx, sql, args...).Scan(&n, &some, &seen); err != nil {
			return fmt.Errorf("looking at the rows past (%s): %w", keyText(cursor), err)
		}
		*rows += seen
		for i := range n {
			counts[i] += n[i]
		}
		*first = append(*first, some[:min(len(some), firstKeys-len(*first))]...)
		if end == nil {
			return nil
		}
		cursor = end
		p.took(time.Since(start))
	}
}
