package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// fillSQL fills the target from a range of the source, r. The source's rows are locked first, and what is inserted is what they are then: so whoever writes such a row waits, or has
// been waited for. A row of the target that the statement's snapshot does not see is met as a conflict. Rows that are there already are left alone: the guard sees to them.
func (s *split) fillSQL(cond string) string {
	set := each(s.moved, ", ", func(c splitColumn) string {
		return catalog.QuoteIdent(c.to) + " = EXCLUDED." + catalog.QuoteIdent(c.to)
	})
	changed := each(s.moved, " OR ", func(c splitColumn) string { return c.differs(c.targ("t"), c.targ("EXCLUDED")) })
	return fmt.Sprintf(`WITH l AS MATERIALIZED (SELECT %s, %s FROM ONLY %s AS r WHERE %s AND %s AND NOT EXISTS (SELECT FROM %s AS t WHERE %s) FOR NO KEY UPDATE OF r)
		INSERT INTO %[6]s AS t (%[8]s, %[9]s) SELECT %[10]s, %[11]s FROM l ON CONFLICT (%[8]s) DO UPDATE SET %[12]s WHERE %[13]s`,
		sources(s.key, "r"), sources(s.moved, "r"), s.table, cond, s.filled("r"), s.to, s.joined("r", "t"),
		targets(s.key, ""), targets(s.moved, ""), sources(s.key, "l"), sources(s.moved, "l"), set, changed)
}

// holdingSource says, for a transaction, that the source's rows of what it writes to the target are locked.
func (s *split) holdingSource(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT pg_catalog.set_config("+s.lockedSetting()+", 'on', true)")
	return err
}

// targetKeys walks the target by its key.
func (s *split) targetKeys(ctx context.Context, q queryer) (*keyset, error) {
	columns, err := collect(ctx, q, `
		SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
		WHERE i.indexrelid = (SELECT min(x.oid) FROM (`+keyIndexes+`) x (oid)) AND k.place <= i.indnkeyatts ORDER BY k.place`, pgx.RowTo[string], s.target.OID, targetNames(s.key))
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", s.to, err)
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%s has no unique index on its key any more: make one on (%s)", s.to, targets(s.key, ""))
	}
	k := &keyset{table: s.to}
	for _, name := range columns {
		for _, c := range s.key {
			if c.to == name {
				k.columns, k.types = append(k.columns, catalog.QuoteIdent(c.to)), append(k.types, c.typ)
			}
		}
	}
	return k, nil
}

// keyIndexes gives the unique indexes of a table, $1, on exactly the columns of that name, $2, in any order, by which ON CONFLICT can be judged.
const keyIndexes = `SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
	AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "C") FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place)
	     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num WHERE k.place <= i.indnkeyatts) = ARRAY(SELECT n FROM unnest($2::text[]) n ORDER BY n COLLATE "C")`

func sourceNames(columns []splitColumn) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.from)
	}
	return out
}

func targetNames(columns []splitColumn) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.to)
	}
	return out
}

// scanSplit compares both tables: each row of the source with its row of the target, and each row of the target with whether there is one of the source. Each range is one
// statement, whose snapshot has both sides of every transaction.
func (w *work) scanSplit(ctx context.Context, v *verified, repair bool) error {
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	if stands, err := s.stands(ctx, w.conn); err != nil {
		return err
	} else if !stands {
		return errNoTarget(w.m)
	}
	family, err := w.stored(ctx)
	if err != nil {
		return err
	}
	for _, r := range family {
		err := w.byKey(ctx, r, func(keys *keyset) error {
			return w.walk(ctx, keys, v, splitScan{
				rows: true, repair: repair,
				from:   fmt.Sprintf("ONLY %s AS r LEFT JOIN %s AS t ON %s", keys.table, s.to, s.joined("r", "t")),
				apart:  s.disagree("r"),
				lock:   fmt.Sprintf("SELECT FROM ONLY %s AS r LEFT JOIN %s AS t ON %s", keys.table, s.to, s.joined("r", "t")),
				mend:   func(cond string) []string { return s.mendSource(w.m.Stand, cond) },
				locked: s,
			})
		})
		if err != nil {
			return err
		}
	}
	keys, err := s.targetKeys(ctx, w.conn)
	if err != nil {
		return err
	}
	orphan := fmt.Sprintf("NOT EXISTS (SELECT FROM %s AS s WHERE %s) OR pg_catalog.num_nonnulls(%s) = 0", s.table, s.joined("s", "r"), targets(s.moved, "r"))
	return w.walk(ctx, keys, v, splitScan{
		repair: repair, from: fmt.Sprintf("ONLY %s AS r", s.to), apart: orphan, what: s.to + ": ", locked: s,
		mend: func(cond string) []string {
			return []string{fmt.Sprintf("DELETE FROM ONLY %s AS r WHERE %s AND (%s)", s.to, cond, orphan)}
		},
	})
}

// splitScan is one side's part of a scan; r is the row whose key ranges are gone through by.
type splitScan struct {
	rows        bool // it counts the rows
	repair      bool
	from, apart string
	what        string // put before keys for people
	lock        string // what locks the source's rows, up to its WHERE: the mending statements see them as they are then; "" where there are none
	mend        func(cond string) []string
	locked      *split
}

func (w *work) walk(ctx context.Context, keys *keyset, v *verified, x splitScan) error {
	const target = 200 * time.Millisecond
	p, slow := pace{target: target, rows: 5_000}, newThrottle(w)
	var cursor []string
	if err := w.say(ctx, "verifying %s", keys.table); err != nil {
		return err
	}
	told := time.Now()
	for {
		if err := w.c.opt.Hooks.at(ctx, "scan"); err != nil {
			return err
		}
		if err := slow.wait(ctx); err != nil {
			return err
		}
		p.target, p.rows = slow.bound(target, p.rows)
		start := time.Now()
		var end []string
		var args []any
		var cond string
		var rows, found int64
		if err := unlocked(ctx, func() error { return slow.tell(ctx, "locks: others hold the table") }, func() (err error) {
			if end, err = keys.end(ctx, w.conn, cursor, p.rows); err != nil {
				return err
			}
			cond, args = keys.bounds(cursor, end, nil)
			return w.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s) FROM %s WHERE %s", x.apart, x.from, cond), args...).Scan(&rows, &found)
		}); err != nil {
			return fmt.Errorf("comparing the tables: %w", err)
		}
		if x.rows {
			v.Rows += rows
		}
		v.Apart += found
		if want := firstKeys - len(v.FirstKeys); found > 0 && want > 0 {
			list, err := collect(ctx, w.conn, fmt.Sprintf("SELECT %s FROM %s WHERE %s AND (%s) ORDER BY %s LIMIT %d", keys.text(), x.from, cond, x.apart, keys.list(""), want), pgx.RowTo[[]string], args...)
			if err != nil {
				return fmt.Errorf("reading the keys of rows apart: %w", err)
			}
			for _, k := range list {
				v.FirstKeys = append(v.FirstKeys, x.what+keyText(k))
			}
		}
		if found > 0 && x.repair {
			repaired, err := w.mendRange(ctx, keys, x, cond, args)
			if err != nil {
				return fmt.Errorf("repairing the rows from (%s) to (%s): %w", keyText(cursor), keyText(end), err)
			}
			v.Repaired += repaired
		}
		if end == nil {
			return nil
		}
		cursor = end
		took := time.Since(start)
		p.took(took)
		if err := slow.worked(ctx, took, rows); err != nil {
			return err
		}
		if time.Since(told) > time.Second {
			told = time.Now()
			if err := w.say(ctx, "verifying %s: %d rows, %d apart", keys.table, v.Rows, v.Apart); err != nil {
				return err
			}
		}
	}
}

// mendRange makes a range agree, giving way to applications that have rows of it locked.
func (w *work) mendRange(ctx context.Context, keys *keyset, x splitScan, cond string, args []any) (repaired int64, err error) {
	retry := backoff{next: firstLockPause, longest: longestLockPause}
	for {
		repaired = 0
		err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
			if err := asWriter(ctx, tx, keys); err != nil {
				return err
			}
			if err := x.locked.holdingSource(ctx, tx); err != nil {
				return err
			}
			if x.lock != "" {
				if _, err := tx.Exec(ctx, x.lock+" WHERE "+cond+" AND ("+x.apart+") FOR NO KEY UPDATE OF r", args...); err != nil {
					return err
				}
			}
			for _, sql := range x.mend(cond) {
				tag, err := tx.Exec(ctx, sql, args...)
				if err != nil {
					return err
				}
				repaired += tag.RowsAffected()
			}
			return nil
		})
		if err == nil || sqlState(err) != "55P03" && sqlState(err) != "40P01" {
			return repaired, err
		}
		if err := retry.pause(ctx); err != nil {
			return 0, err
		}
	}
}

// mendSource makes rows of a range of the source, r, agree with the target's. A row that is on one side only is never lost where code may have written it there: the target gets what it has
// not; the source gets what it has not from switch-reads on, when new code writes the target. Where both have values, it is the target's that count from then on.
func (s *split) mendSource(at stand, cond string) []string {
	missing := s.fillSQL(cond)
	if at.Phase < lens.SwitchReads {
		set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.to) + " = " + c.source("r") })
		return []string{
			missing,
			fmt.Sprintf("DELETE FROM %s AS t USING %s AS r WHERE %s AND %s AND NOT (%s)", s.to, s.table, cond, s.joined("r", "t"), s.filled("r")),
			fmt.Sprintf("UPDATE %s AS t SET %s FROM %s AS r WHERE %s AND %s AND (%s)", s.to, set, s.table, cond, s.joined("r", "t"), s.apart("r", "t")),
		}
	}
	set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.from) + " = " + c.targ("t") })
	return []string{
		missing,
		fmt.Sprintf("UPDATE %s AS r SET %s FROM %s AS t WHERE %s AND %s AND (%s)", s.table, set, s.to, cond, s.joined("r", "t"), s.apart("r", "t")),
	}
}
