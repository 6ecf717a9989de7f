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
	if w.m.splitting() {
		return w.expandSplit()
	}
	to := w.m.Stand
	to.Phase = lens.Expand
	return change{name: "expand", to: to, ddl: func(ctx context.Context, tx pgx.Tx) error {
		group, err := w.m.Definition.Group()
		if err != nil {
			return err
		}
		old, err := w.oldColumns(ctx, tx, group)
		if err != nil {
			return err
		}
		nums := map[string]int16{}
		var stay []*column
		if group.Adding {
			for _, name := range group.Stay {
				c, err := readColumn(ctx, tx, w.m.Table, name)
				if err != nil {
					return err
				}
				stay = append(stay, c)
			}
			old = stay
		}
		for _, n := range group.New {
			if nums[n.Name], err = w.addColumn(ctx, tx, n, old); err != nil {
				return err
			}
		}
		if err := makeGuard(ctx, tx, w.m); err != nil {
			return err
		}
		if err := w.demandFirst(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE segue.migration SET new_nums = $2, relaxed = NULL, members = NULL, filled = '{}', cursor_of = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
			backfilled = false, analyzed = false, verified = NULL, paused = false, max_rows = NULL, scanned = NULL WHERE name = $1`, w.name, nums)
		return err
	}}
}

// demandFirst holds writers to what the definition says of the new columns from here on. Rows that are not filled yet are held to it when they are.
func (w *work) demandFirst(ctx context.Context, tx pgx.Tx) error {
	g, err := readGroup(ctx, tx, w.m)
	if err != nil {
		return err
	}
	for i, n := range g.new {
		for _, d := range g.demands() {
			if g.New[i].NotNull && d.name == notNullName(w.name, n.name) || d.name == checkName(w.name, n.name) {
				if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" ADD CONSTRAINT "+catalog.QuoteIdent(d.name)+" CHECK ("+d.cond+") NOT VALID"); err != nil {
					return fmt.Errorf("demanding %s: %w", d.what, err)
				}
			}
		}
	}
	return nil
}

// oldColumns reads the old columns, which must be those that the migration was started on.
func (w *work) oldColumns(ctx context.Context, q queryer, group *lens.Group) ([]*column, error) {
	var out []*column
	for _, o := range group.Old {
		c, err := readColumn(ctx, q, w.m.Table, o.Name)
		if err != nil {
			return nil, err
		}
		if t, known := w.m.OldTypes[o.Name]; c.Num != w.m.OldNums[o.Name] || known && t.SQL != c.Type {
			return nil, fmt.Errorf("column %s is another one than when the migration was started: `segue drop %s`, then start it anew", o.Name, w.name)
		}
		out = append(out, c)
	}
	return out, nil
}

// addColumn adds a new column, to partitions and children, too. What is granted on an old one is granted on it. Where it takes the place of one of its own
// type, it is in all like that one, save for its default and NOT NULL, which come when it takes the old one's place.
func (w *work) addColumn(ctx context.Context, tx pgx.Tx, x lens.NewColumn, old []*column) (int16, error) {
	typ := x.Type
	like := !w.m.adding() && len(old) == 1 && len(w.m.newNames()) == 1 && (x.Type == "" || x.Type == old[0].Type)
	if like {
		typ = old[0].Type
		if old[0].Collation != "" {
			typ += " COLLATE " + old[0].Collation
		}
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" ADD COLUMN "+catalog.QuoteIdent(x.Name)+" "+typ); err != nil {
		return 0, fmt.Errorf("adding column %s: %w", x.Name, err)
	}
	family, err := readFamily(ctx, tx, w.m.Table)
	if err != nil {
		return 0, err
	}
	for _, r := range family {
		if r.oid != w.m.Table {
			if old, err = w.oldColumnsOf(ctx, tx, r); err != nil {
				return 0, err
			}
		}
		if err := execAll(ctx, tx, w.likeOld(r, x, old, like)); err != nil {
			return 0, fmt.Errorf("making column %s of %s like what it takes the place of: %w", x.Name, r.name, err)
		}
	}
	c, err := readColumn(ctx, tx, w.m.Table, x.Name)
	if err != nil {
		return 0, err
	}
	return c.Num, nil
}

// oldColumnsOf reads the old columns of a partition or a child.
func (w *work) oldColumnsOf(ctx context.Context, q queryer, r relative) ([]*column, error) {
	var out []*column
	for _, name := range w.m.oldNames() {
		c, err := readColumn(ctx, q, r.oid, name)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// likeOld writes what makes a new column of one relation like the old ones.
func (w *work) likeOld(r relative, x lens.NewColumn, old []*column, like bool) []string {
	n := catalog.QuoteIdent(x.Name)
	alter := "ALTER TABLE ONLY " + r.name + " ALTER COLUMN " + n
	var sqls []string
	if len(old) == 1 && len(w.m.newNames()) == 1 && !w.m.adding() {
		o := old[0]
		if like && o.Storage != "" {
			sqls = append(sqls, alter+" SET STORAGE "+o.Storage)
		}
		if like && o.Compress != "" {
			sqls = append(sqls, alter+" SET COMPRESSION "+o.Compress)
		}
		if o.Options != "" {
			sqls = append(sqls, alter+" SET ("+o.Options+")")
		}
		if o.Comment != nil {
			sqls = append(sqls, "COMMENT ON COLUMN "+r.name+"."+n+" IS "+quoteLiteral(*o.Comment))
		}
	}
	for _, o := range old {
		for _, g := range o.Grants {
			privilege, to, _ := strings.Cut(g, "\n")
			sqls = append(sqls, "GRANT "+privilege+" ("+n+") ON "+r.name+" "+to)
		}
	}
	return sqls
}

// dropNew drops the new columns with all that stands on them, and the guard. Whatever somebody else has made on a new column is an error, which names it.
func (w *work) dropNew(ctx context.Context, tx pgx.Tx) error {
	if w.m.splitting() {
		return w.dropSplit(ctx, tx)
	}
	// The trigger depends on the columns, so it goes first.
	if err := dropGuard(ctx, tx, w.m, w.table == ""); err != nil {
		return err
	}
	if err := w.dropLookups(ctx, tx); err != nil {
		return err
	}
	for _, name := range w.m.newNames() {
		var num int16
		if err := tx.QueryRow(ctx, "SELECT COALESCE((SELECT attnum FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped), 0)",
			w.m.Table, name).Scan(&num); err != nil {
			return fmt.Errorf("looking for column %s: %w", name, err)
		}
		if num == 0 || num != w.m.NewNums[name] {
			continue // it is gone, or another one has its name
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" DROP COLUMN "+catalog.QuoteIdent(name)); err != nil {
			return fmt.Errorf("dropping column %s: %w", name, err)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE segue.migration SET new_nums = NULL, guard = NULL, relaxed = NULL, members = NULL, filled = '{}', cursor_of = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
		backfilled = false, analyzed = false, verified = NULL, paused = false, max_rows = NULL, scanned = NULL WHERE name = $1`, w.name)
	return err
}

// dropOld is the change that ends the migration's work on the table: guard and old columns go. The mirrored indexes take the old ones' names.
func (w *work) dropOld() change {
	if w.m.splitting() {
		return w.completeSplit()
	}
	to := stand{Live: true, Stage: lens.Stage{Phase: lens.Complete, Proved: w.m.Stand.Proved}}
	return change{name: "complete", to: to, fixed: true, ddl: func(ctx context.Context, tx pgx.Tx) error {
		mirrors, err := w.mirrors(ctx, tx)
		if err != nil {
			return err
		}
		g, err := readGroup(ctx, tx, w.m)
		if err != nil {
			return err
		}
		constraints, err := readStanding(ctx, tx, w.m, g)
		if err != nil {
			return err
		}
		objects, err := readStatistics(ctx, tx, w.m, g)
		if err != nil {
			return err
		}
		if w.m.adding() { // its guard goes on filling what old code does not know of
			return w.takeChecks(ctx, tx, g)
		}
		if err := dropGuard(ctx, tx, w.m, false); err != nil {
			return err
		}
		members, err := w.dropOldColumns(ctx, tx)
		if err != nil {
			return err
		}
		for _, x := range mirrors {
			if err := x.takeName(ctx, tx); err != nil {
				return err
			}
		}
		for _, x := range constraints {
			if err := x.takeName(ctx, tx, w.table); err != nil {
				return err
			}
		}
		for _, x := range objects {
			if err := x.takeName(ctx, tx); err != nil {
				return err
			}
		}
		if err := w.takeChecks(ctx, tx, g); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET guard = NULL, members = $2 WHERE name = $1", w.name, members) // relaxed stays: old code is told by it
		return err
	}}
}

// dropOldColumns drops the old columns, also where an inheritance child has declared them itself; it gives their attribute numbers in partitions and children.
func (w *work) dropOldColumns(ctx context.Context, tx pgx.Tx) (map[uint32]map[string]int16, error) {
	// The lock comes first, so that no partition comes in between.
	if _, err := tx.Exec(ctx, "LOCK TABLE ONLY "+w.table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return nil, fmt.Errorf("dropping the old columns: %w", err)
	}
	members, err := readNums(ctx, tx, w.m)
	if err != nil {
		return nil, err
	}
	for _, name := range w.m.oldNames() {
		if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" DROP COLUMN "+catalog.QuoteIdent(name)); err != nil {
			return nil, fmt.Errorf("dropping column %s: %w", name, err)
		}
	}
	left, err := readNums(ctx, tx, w.m)
	if err != nil {
		return nil, err
	}
	for oid, columns := range left {
		table, err := tableName(ctx, tx, oid)
		if err != nil {
			return nil, err
		}
		for name := range columns {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" DROP COLUMN IF EXISTS "+catalog.QuoteIdent(name)); err != nil {
				return nil, fmt.Errorf("dropping column %s of %s: %w", name, table, err)
			}
		}
	}
	return members, nil
}

// takeChecks gives the CHECKs that the definition wants the names that PostgreSQL would give them: table_column_check, with a number where that is taken.
func (w *work) takeChecks(ctx context.Context, tx pgx.Tx, g *group) error {
	for i, n := range g.new {
		if g.New[i].Check == nil {
			continue
		}
		for number := 0; ; number++ {
			name := wantedName(w.m.Definition.Table.Name, g.New[i].As, number)
			var taken bool
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1 AND conname = $2)", w.m.Table, name).Scan(&taken); err != nil {
				return fmt.Errorf("looking for the constraint %s: %w", name, err)
			}
			if taken {
				continue
			}
			if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" RENAME CONSTRAINT "+catalog.QuoteIdent(checkName(w.name, n.name))+" TO "+catalog.QuoteIdent(name)); err != nil {
				return fmt.Errorf("naming the constraint %s: %w", name, err)
			}
			break
		}
	}
	return nil
}

// wantedName is table_column_check, within PostgreSQL's 63 bytes.
func wantedName(table, column string, number int) string {
	const longest, suffix = 63, "_check"
	end := suffix
	if number > 0 {
		end = fmt.Sprintf("%s%d", suffix, number)
	}
	name := table + "_" + column
	if keep := longest - len(end); len(name) > keep {
		name = strings.ToValidUTF8(name[:keep], "")
	}
	return name + end
}
