package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// verified is what a scan of the whole table found.
type verified struct {
	Rows      int64     `json:"rows"`
	Apart     int64     `json:"apart"`      // rows whose group does not agree, before any repair
	FirstKeys []string  `json:"first_keys"` // their primary keys, the first of them
	Repaired  int64     `json:"repaired"`
	At        time.Time `json:"at"`
	Done      bool      `json:"done"`
}

// firstKeys is how many keys of rows apart are kept.
const firstKeys = 10

// scan looks at every row by ranges of the primary key, each in a transaction of its own. That is enough: while the guard stands, a row that agrees stays so,
// and one that moves to a key that was passed has to agree to do so.
func (w *work) scan(ctx context.Context, repair bool) (*verified, error) {
	all, err := w.stored(ctx)
	if err != nil {
		return nil, err
	}
	v := &verified{FirstKeys: []string{}, At: time.Now()}
	if w.m.splitting() {
		if err := w.scanSplit(ctx, v, repair); err != nil {
			return nil, err
		}
		all = nil
	}
	for _, r := range all {
		if err := w.byKey(ctx, r, func(keys *keyset) error { return w.scanBy(ctx, keys, v, repair) }); err != nil {
			return nil, err
		}
	}
	v.Done = true
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET verified = $2 WHERE name = $1", w.name, v); err != nil {
		return nil, fmt.Errorf("noting what was found: %w", err)
	}
	return v, w.c.note(ctx, w.conn, w.name, "verified", map[string]any{"rows": v.Rows, "apart": v.Apart, "repaired": v.Repaired})
}

// scanBy scans one relation that stores rows, and adds what it finds to v.
func (w *work) scanBy(ctx context.Context, keys *keyset, v *verified, repair bool) error {
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	p := pace{target: 200 * time.Millisecond, rows: 5_000}
	var cursor []string
	told := time.Now()
	if err := w.say(ctx, "verifying %s", keys.table); err != nil {
		return err
	}
	for {
		if err := w.c.opt.Hooks.at(ctx, "scan"); err != nil {
			return err
		}
		start := time.Now()
		end, err := keys.end(ctx, w.conn, cursor, p.rows)
		if err != nil {
			return err
		}
		if err := w.scanRange(ctx, keys, g, cursor, end, v, repair); err != nil {
			return err
		}
		if end == nil {
			return nil
		}
		cursor = end
		p.took(time.Since(start))
		if time.Since(told) > time.Second {
			told = time.Now()
			if err := w.say(ctx, "verifying %s: %d rows, %d apart", keys.table, v.Rows, v.Apart); err != nil {
				return err
			}
		}
	}
}

func (w *work) scanRange(ctx context.Context, keys *keyset, g *group, from, end []string, v *verified, repair bool) error {
	cond, args := keys.bounds(from, end, nil)
	apart := g.apart("r")
	var rows, found int64
	if err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s) FROM ONLY %s AS r WHERE %s", apart, keys.table, cond), args...).Scan(&rows, &found); err != nil {
		return fmt.Errorf("comparing the columns: %w", err)
	}
	v.Rows += rows
	v.Apart += found
	if found == 0 {
		return nil
	}
	if want := firstKeys - len(v.FirstKeys); want > 0 {
		found, err := collect(ctx, w.conn, fmt.Sprintf("SELECT %s FROM ONLY %s AS r WHERE %s AND (%s) ORDER BY %s LIMIT %d", keys.text(), keys.table, cond, apart, keys.list(""), want),
			pgx.RowTo[[]string], args...)
		if err != nil {
			return fmt.Errorf("reading the keys of rows apart: %w", err)
		}
		for _, k := range found {
			v.FirstKeys = append(v.FirstKeys, keyText(k))
		}
	}
	if !repair {
		return nil
	}
	repaired, err := w.repair(ctx, keys, g, from, end)
	v.Repaired += repaired
	return err
}

// repair mends the rows of a range that are apart, giving way to applications that have them locked.
func (w *work) repair(ctx context.Context, keys *keyset, g *group, from, end []string) (repaired int64, err error) {
	cond, args := keys.bounds(from, end, nil)
	retry := backoff{next: firstLockPause, longest: longestLockPause}
	for {
		repaired = 0
		err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
			if err := asWriter(ctx, tx, keys); err != nil {
				return err
			}
			for _, set := range w.mend(g) {
				tag, err := tx.Exec(ctx, fmt.Sprintf("UPDATE ONLY %s AS r SET %s WHERE %s AND (%s) AND %s", keys.table, set.assign, cond, g.apart("r"), set.where), args...)
				if err != nil {
					return err
				}
				repaired += tag.RowsAffected()
			}
			return nil
		})
		switch {
		case err == nil:
			return repaired, nil
		case sqlState(err) != "55P03" && sqlState(err) != "40P01":
			return 0, fmt.Errorf("repairing the rows from (%s) to (%s): %w", keyText(from), keyText(end), err)
		}
		if err := retry.pause(ctx); err != nil {
			return 0, err
		}
	}
}

// mending makes rows agree.
type mending struct{ assign, where string }

// mend says how rows are made to agree, taking the side that the phase reads from. Both sides are assigned, so that the guard is not asked which
// side has moved.
func (w *work) mend(g *group) []mending {
	const r = "r"
	keep := func(side []groupColumn) string {
		out := ""
		for _, c := range side {
			out += ", " + catalog.QuoteIdent(c.name) + " = " + c.of(r)
		}
		return out
	}
	fromOld := mending{g.assignNew(r), "true"}
	if !g.Adding { // what stays has one side only, and may be a column that cannot be assigned
		fromOld.assign += keep(g.old)
	}
	if g.OneWay() {
		return []mending{fromOld}
	}
	fromNew := mending{g.assignOld(r) + keep(g.new), "true"}
	switch s := w.m.Stand; {
	case s.Step == lens.WriteOld || s.Phase < lens.SwitchReads || g.Lossy && s.Phase == lens.SwitchReads: // of a lossy group, old code reads its own side
		return []mending{fromOld}
	case s.Phase == lens.SwitchReads && !s.Proved: // it reads COALESCE(n, up(o))
		fromOld.where, fromNew.where = unset(g.new, r), "NOT ("+unset(g.new, r)+")"
		return []mending{fromOld, fromNew}
	default:
		return []mending{fromNew}
	}
}

// prove scans, with the guard looked at before and after: where every row agrees and the guard has stood all the while, every row will agree from then on. It
// gives what is missing; nil where it is proved.
func (w *work) prove(ctx context.Context) ([]string, error) {
	if w.m.dropping() {
		return nil, nil
	}
	stands, err := guardStands(ctx, w.conn, w.m)
	if err != nil {
		return nil, err
	}
	if !stands {
		return []string{w.guardGone()}, nil
	}
	if !w.m.Stand.Proved { // or else adopt has looked at those that came since
		if err := w.recordRelatives(ctx); err != nil {
			return nil, err
		}
	}
	v, err := w.scan(ctx, false)
	if err != nil {
		return nil, err
	}
	if v.Apart > 0 {
		return []string{fmt.Sprintf("%d of %d rows are apart, first (%s): `segue verify %s --repair` makes them agree", v.Apart, v.Rows, v.FirstKeys[0], w.name)}, nil
	}
	if stands, err = guardStands(ctx, w.conn, w.m); err != nil {
		return nil, err
	}
	if !stands {
		return []string{w.guardGone()}, nil
	}
	came, err := unseen(ctx, w.conn, w.m)
	if err != nil || len(came) == 0 {
		return nil, err
	}
	return []string{cameSince(w.m, came)}, nil
}

func (w *work) guardGone() string {
	return fmt.Sprintf("the guard is not the one that was made, or was switched off for a time: `segue verify %s --repair` makes it anew and looks at every row", w.name)
}
