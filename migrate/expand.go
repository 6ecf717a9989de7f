package migrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// expand is the change that adds the new columns and the guard, in one transaction: CREATE TRIGGER's lock waits out every earlier writer, so from
// here on no write can leave the group apart.
func (w *work) expand() change {
	to := w.m.Stand
	to.Phase = lens.Expand
	return change{name: "expand", to: to, ddl: func(ctx context.Context, tx pgx.Tx) error {
		nums := map[string]int16{}
		for _, p := range w.m.Definition.Pairs() {
			num, err := w.addColumn(ctx, tx, p)
			if err != nil {
				return err
			}
			nums[p.New] = num
		}
		if err := makeGuard(ctx, tx, w.m, w.table); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE segue.migration SET new_nums = $2, relaxed = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
			backfilled = false, analyzed = false, verified = NULL WHERE name = $1`, w.name, nums)
		return err
	}}
}

// addColumn adds a new column that is in all like the old one, save for its default and NOT NULL, which come when it takes the old one's place.
func (w *work) addColumn(ctx context.Context, tx pgx.Tx, p lens.Pair) (int16, error) {
	o, err := readColumn(ctx, tx, w.m.Table, p.Old)
	if err != nil {
		return 0, err
	}
	if o.Num != w.m.OldNums[p.Old] {
		return 0, fmt.Errorf("column %s is another one than when the migration was started: `segue drop %s`, then start it anew", p.Old, w.name)
	}
	n := catalog.QuoteIdent(p.New)
	alter := "ALTER TABLE " + w.table + " "
	add := alter + "ADD COLUMN " + n + " " + o.Type
	if o.Collation != "" {
		add += " COLLATE " + o.Collation
	}
	sqls := []string{add}
	if o.Storage != "" {
		sqls = append(sqls, alter+"ALTER COLUMN "+n+" SET STORAGE "+o.Storage)
	}
	if o.Compress != "" {
		sqls = append(sqls, alter+"ALTER COLUMN "+n+" SET COMPRESSION "+o.Compress)
	}
	if o.Options != "" {
		sqls = append(sqls, alter+"ALTER COLUMN "+n+" SET ("+o.Options+")")
	}
	if o.Comment != nil {
		sqls = append(sqls, "COMMENT ON COLUMN "+w.table+"."+n+" IS "+quoteLiteral(*o.Comment))
	}
	for _, g := range o.Grants {
		privilege, to, _ := strings.Cut(g, "\n")
		sqls = append(sqls, "GRANT "+privilege+" ("+n+") ON "+w.table+" "+to)
	}
	for _, sql := range sqls {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("adding column %s: %w", p.New, err)
		}
	}
	c, err := readColumn(ctx, tx, w.m.Table, p.New)
	if err != nil {
		return 0, err
	}
	return c.Num, nil
}

// dropNew drops the new columns with all that stands on them, and the guard. Whatever somebody else has made on a new column is an error, which names it.
func (w *work) dropNew(ctx context.Context, tx pgx.Tx) error {
	// The trigger depends on the columns, so it goes first.
	if err := dropGuard(ctx, tx, w.m, w.table); err != nil {
		return err
	}
	for _, p := range w.m.Definition.Pairs() {
		var num int16
		if err := tx.QueryRow(ctx, "SELECT COALESCE((SELECT attnum FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped), 0)",
			w.m.Table, p.New).Scan(&num); err != nil {
			return fmt.Errorf("looking for column %s: %w", p.New, err)
		}
		if num == 0 || num != w.m.NewNums[p.New] {
			continue // it is gone, or another one has its name
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" DROP COLUMN "+catalog.QuoteIdent(p.New)); err != nil {
			return fmt.Errorf("dropping column %s: %w", p.New, err)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE segue.migration SET new_nums = NULL, guard = NULL, relaxed = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
		backfilled = false, analyzed = false, verified = NULL WHERE name = $1`, w.name)
	return err
}

// dropOld is the change that ends the migration's work on the table: guard and old columns go. The mirrored indexes take the old ones' names.
func (w *work) dropOld() change {
	to := stand{Live: true, Stage: lens.Stage{Phase: lens.Complete, Proved: w.m.Stand.Proved}}
	return change{name: "complete", to: to, fixed: true, ddl: func(ctx context.Context, tx pgx.Tx) error {
		mirrors, err := w.mirrors(ctx, tx)
		if err != nil {
			return err
		}
		if err := dropGuard(ctx, tx, w.m, w.table); err != nil {
			return err
		}
		for _, p := range w.m.Definition.Pairs() {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" DROP COLUMN "+catalog.QuoteIdent(p.Old)); err != nil {
				return fmt.Errorf("dropping column %s: %w", p.Old, err)
			}
		}
		for _, x := range mirrors {
			if err := x.takeName(ctx, tx); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET guard = NULL, relaxed = NULL WHERE name = $1", w.name)
		return err
	}}
}
