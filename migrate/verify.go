package migrate

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// verified is what a scan of the whole table found.
type verified struct {
	Rows      int64    `json:"rows"`
	Apart     int64    `json:"apart"`      // rows whose group does not agree, before any repair
	FirstKeys []string `json:"first_keys"` // their primary keys, the first of them
	// Lost are rows of a lossy group that agree in one direction only: what one side holds does not come back from the other.
	Lost     int64     `json:"lost"`
	LostKeys []string  `json:"lost_keys"`
	Repaired int64     `json:"repaired"` // by this request
	At       time.Time `json:"at"`
	Done     bool      `json:"done"`
}

// firstKeys is how many keys of rows apart are kept.
const firstKeys = 10

// scanProgress is how far a scan is, so that one that was cut off goes on. It holds only for the guard and the relations that it began with.
type scanProgress struct {
	Guard  guardRecord `json:"guard"`
	Repair bool        `json:"repair"`
	Done   []uint32    `json:"done"` // the relations that are through
	Of     uint32      `json:"of"`   // the one that it is at
	Cursor []string    `json:"cursor"`
	Found  verified    `json:"found"`
}

// scanning is a scan under way.
type scanning struct {
	*work
	pace
	slow     *throttle
	progress *scanProgress // what is noted now and then; nil: nothing is
	noted    time.Time
	v        *verified
	repair   bool
}

// scan looks at every row by ranges of the primary key, each in a transaction of its own. That is enough: while the guard stands, a row that agrees stays so,
// and one that moves to a key that was passed has to agree to do so. It goes on from where one was cut off, as long as the guard has stood all the while.
func (w *work) scan(ctx context.Context, repair bool) (*verified, error) {
	all, err := w.stored(ctx)
	if err != nil {
		return nil, err
	}
	p, err := w.scanned(ctx, repair)
	if err != nil {
		return nil, err
	}
	s := w.newScan(&p.Found, repair)
	s.progress = p
	if w.m.splitting() {
		if err := w.scanSplit(ctx, s.v, repair); err != nil {
			return nil, err
		}
		all = nil
	}
	for _, r := range all {
		if slices.Contains(p.Done, r.oid) {
			continue
		}
		if p.Of != r.oid {
			p.Of, p.Cursor = r.oid, nil
		}
		if err := w.byKey(ctx, r, func(keys *keyset) error { return s.by(ctx, keys) }); err != nil {
			return nil, err
		}
		p.Done, p.Of, p.Cursor = append(p.Done, r.oid), 0, nil
	}
	v := s.v
	v.Done = true
	if repair {
		w.repaired += v.Repaired
	}
	v.Repaired = w.repaired
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET verified = $2, scanned = NULL WHERE name = $1", w.name, v); err != nil {
		return nil, fmt.Errorf("noting what was found: %w", err)
	}
	return v, w.c.note(ctx, w.conn, w.name, "verified", map[string]any{"rows": v.Rows, "apart": v.Apart, "repaired": v.Repaired})
}

// scanned reads how far a scan is that was cut off, or begins one.
func (w *work) scanned(ctx context.Context, repair bool) (*scanProgress, error) {
	guard := guardRecord{}
	if w.m.Guard != nil {
		guard = *w.m.Guard
	}
	fresh := &scanProgress{Guard: guard, Repair: repair, Found: verified{FirstKeys: []string{}, LostKeys: []string{}, At: time.Now()}}
	var p *scanProgress
	if err := w.conn.QueryRow(ctx, "SELECT scanned FROM segue.migration WHERE name = $1", w.name).Scan(&p); err != nil {
		return nil, fmt.Errorf("reading how far the scan is: %w", err)
	}
	if p == nil || p.Repair != repair || !reflect.DeepEqual(p.Guard, guard) {
		return fresh, nil
	}
	stands, err := guardStands(ctx, w.conn, w.m)
	if err != nil || !stands {
		return fresh, err
	}
	return p, nil
}

func (w *work) newScan(v *verified, repair bool) *scanning {
	return &scanning{work: w, pace: pace{target: 200 * time.Millisecond, rows: 5_000}, slow: newThrottle(w), v: v, repair: repair, noted: time.Now()}
}

// by scans one relation that stores rows, and adds what it finds.
func (s *scanning) by(ctx context.Context, keys *keyset) error {
	g, err := readGroup(ctx, s.conn, s.m)
	if err != nil {
		return err
	}
	var cursor []string
	if s.progress != nil {
		cursor = s.progress.Cursor
	}
	target := s.target
	defer func() { s.target = target }()
	if err := s.say(ctx, "verifying %s", keys.table); err != nil {
		return err
	}
	for {
		if err := s.slow.wait(ctx); err != nil {
			return err
		}
		s.target, s.rows = s.slow.bound(target, s.rows)
		if err := s.c.opt.Hooks.at(ctx, "scan"); err != nil {
			return err
		}
		start := time.Now()
		var end []string
		before := *s.v
		if err := unlocked(ctx, func() error {
			*s.v = before
			return s.slow.tell(ctx, "locks: others hold the table")
		}, func() (err error) {
			if end, err = keys.end(ctx, s.conn, cursor, s.rows); err != nil {
				return err
			}
			return s.scanRange(ctx, keys, g, cursor, end)
		}); err != nil {
			return err
		}
		if end == nil {
			return nil
		}
		cursor = end
		took := time.Since(start)
		s.took(took)
		if err := s.note(ctx, keys, cursor); err != nil {
			return err
		}
		if err := s.slow.worked(ctx, took, s.v.Rows-before.Rows); err != nil {
			return err
		}
	}
}

// noteEvery is how often the progress of a scan is noted; what comes after it is looked at again where the scan is cut off.
const noteEvery = time.Second

func (s *scanning) note(ctx context.Context, keys *keyset, cursor []string) error {
	if time.Since(s.noted) < noteEvery && s.c.opt.Hooks.At == nil {
		return nil
	}
	s.noted = time.Now()
	if s.progress != nil {
		s.progress.Cursor = cursor
		if _, err := s.conn.Exec(ctx, "UPDATE segue.migration SET scanned = $2 WHERE name = $1", s.name, s.progress); err != nil {
			return fmt.Errorf("noting how far the scan is: %w", err)
		}
	}
	return s.say(ctx, "verifying %s: %d rows, %d apart", keys.table, s.v.Rows, s.v.Apart)
}

func (s *scanning) scanRange(ctx context.Context, keys *keyset, g *group, from, end []string) error {
	w, v := s.work, s.v
	cond, args := keys.bounds(from, end, nil)
	apart, lost := g.apart("r"), g.lost("r")
	var rows, found, gone int64
	if err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s), count(*) FILTER (WHERE %s) FROM ONLY %s AS r WHERE %s", apart, lost, keys.table, cond), args...).Scan(
		&rows, &found, &gone); err != nil {
		return fmt.Errorf("comparing the columns: %w", err)
	}
	v.Rows, v.Apart, v.Lost = v.Rows+rows, v.Apart+found, v.Lost+gone
	for _, x := range []struct {
		found int64
		where string
		keys  *[]string
	}{{found, apart, &v.FirstKeys}, {gone, lost, &v.LostKeys}} {
		want := firstKeys - len(*x.keys)
		if x.found == 0 || want <= 0 {
			continue
		}
		first, err := collect(ctx, w.conn, fmt.Sprintf("SELECT %s FROM ONLY %s AS r WHERE %s AND (%s) ORDER BY %s LIMIT %d", keys.text(), keys.table, cond, x.where, keys.list(""), want),
			pgx.RowTo[[]string], args...)
		if err != nil {
			return fmt.Errorf("reading the keys of rows apart: %w", err)
		}
		for _, k := range first {
			*x.keys = append(*x.keys, keyText(k))
		}
	}
	if !s.repair || found == 0 {
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
