package migrate

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// While an old column's unique index stands, its mirror is not UNIQUE: an INSERT ... ON CONFLICT has one of them as its arbiter, and the other one's error
// would reach the client. The guard and an `up` that keeps different values different make the mirror unique all the same. In contract the other
// one comes, at an epoch of its own, from which the proxies try such statements again; (a3) takes the old one away.

// keptUnique is a unique index that (a3) has taken off the old columns, and the one that has taken its place and its name.
type keptUnique struct {
	Name       string  `json:"name"` // of both, at their times, and of the constraint
	Schema     string  `json:"schema"`
	Def        string  `json:"def"`   // pg_get_indexdef of the old one
	Space      string  `json:"space"` // its tablespace; "" for the database's
	Constraint bool    `json:"constraint"`
	Comment    string  `json:"comment"`
	Clustered  bool    `json:"clustered,omitempty"` // the table is CLUSTERed on it
	Identity   bool    `json:"identity,omitempty"`  // it is the table's replica identity
	Targets    []int32 `json:"targets,omitempty"`   // statistics targets of its columns
	Same       bool    `json:"same,omitempty"`      // both have the same columns, but for their names
	Strict     string  `json:"strict"`              // the name of the new one while the old one stands
}

// hasUnique says whether a unique index stands on the old columns, with a mirror.
func (w *work) hasUnique(ctx context.Context) (bool, error) {
	mirrors, err := w.mirrors(ctx, w.conn)
	for _, x := range mirrors {
		if x.unique {
			return true, err
		}
	}
	return false, err
}

// buildUnique is (a1): each unique index gets a mirror that is UNIQUE too, and the one that is not goes. It goes on from wherever it was cut off.
func (w *work) buildUnique(ctx context.Context) error {
	mirrors, err := w.mirrors(ctx, w.conn)
	if err != nil {
		return err
	}
	for _, x := range mirrors {
		if !x.unique {
			continue
		}
		if err := w.buildIndex(ctx, x.asUnique()); err != nil {
			return err
		}
		if x.exists {
			if err := w.dropIndex(ctx, x.schema, x.own); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropUnique takes back what buildUnique has done.
func (w *work) dropUnique(ctx context.Context) error {
	mirrors, err := w.mirrors(ctx, w.conn)
	if err != nil {
		return err
	}
	for _, x := range mirrors {
		if !x.unique || !x.strictExists {
			continue
		}
		if err := w.buildIndex(ctx, x); err != nil {
			return err
		}
		if err := w.dropIndex(ctx, x.schema, x.strict); err != nil {
			return err
		}
	}
	return nil
}

// dropIndex drops an index of the migration's without keeping writers waiting, or the constraint that it belongs to.
func (w *work) dropIndex(ctx context.Context, schema, name string) error {
	own := catalog.QuoteQualified(schema, name)
	if err := w.say(ctx, "dropping the index %s", own); err != nil {
		return err
	}
	if err := w.c.opt.Hooks.at(ctx, "drop "+name); err != nil {
		return err
	}
	constraint, err := isConstraint(ctx, w.conn, w.m.Table, name)
	if err != nil {
		return err
	}
	if constraint {
		return w.alter(ctx, "drop the constraint "+name, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" DROP CONSTRAINT IF EXISTS "+catalog.QuoteIdent(name))
			return err
		})
	}
	if _, err := w.conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+own); err != nil {
		return fmt.Errorf("dropping the index %s: %w", own, err)
	}
	return nil
}

// isConstraint says whether the table has a unique constraint of that name: its index has the same one.
func isConstraint(ctx context.Context, q queryer, table uint32, name string) (is bool, err error) {
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1 AND conname = $2 AND contype = 'u')", table, name).Scan(&is); err != nil {
		return false, fmt.Errorf("looking for the constraint %s: %w", name, err)
	}
	return is, nil
}

// giveName gives a unique index another name, and makes it a constraint's where it is to be one.
func (w *work) giveName(ctx context.Context, tx pgx.Tx, u keptUnique, have, want string) error {
	constraint, err := isConstraint(ctx, tx, w.m.Table, have)
	if err != nil {
		return err
	}
	h, n := catalog.QuoteIdent(have), catalog.QuoteIdent(want)
	alter := "ALTER TABLE " + w.table
	sql := "ALTER INDEX " + catalog.QuoteQualified(u.Schema, have) + " RENAME TO " + n
	switch {
	case constraint:
		sql = alter + " RENAME CONSTRAINT " + h + " TO " + n
	case u.Constraint:
		sql = alter + " ADD CONSTRAINT " + n + " UNIQUE USING INDEX " + h
	}
	if _, err := tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("giving the index %s the name %s: %w", have, want, err)
	}
	like := mirror{name: want, schema: u.Schema, clustered: u.Clustered, targets: u.Targets, table: relative{name: w.table}, kind: newMirror}
	if u.Same {
		like.kind = sameMirror
	}
	if err := like.takeRest(ctx, tx); err != nil {
		return err
	}
	if u.Identity {
		if _, err := tx.Exec(ctx, alter+" REPLICA IDENTITY USING INDEX "+n); err != nil {
			return fmt.Errorf("making the index %s the table's replica identity: %w", want, err)
		}
	}
	if u.Comment == "" {
		return nil
	}
	on := "INDEX " + catalog.QuoteQualified(u.Schema, want)
	if u.Constraint {
		on = "CONSTRAINT " + n + " ON " + w.table
	}
	if _, err := tx.Exec(ctx, "COMMENT ON "+on+" IS "+quoteLiteral(u.Comment)); err != nil {
		return fmt.Errorf("commenting on %s: %w", want, err)
	}
	return nil
}

// takeUnique takes the unique indexes off the old columns, in (a3)'s transaction. Their mirrors take their names at once, so that what names a constraint, as
// ON CONFLICT ON CONSTRAINT does, goes on working.
func (w *work) takeUnique(ctx context.Context, tx pgx.Tx) ([]keptUnique, error) {
	mirrors, err := w.mirrors(ctx, tx)
	if err != nil {
		return nil, err
	}
	var out []keptUnique
	for _, x := range mirrors {
		if !x.unique {
			continue
		}
		if !x.strictExists || !x.strictValid {
			return nil, fmt.Errorf("the unique index %s has no valid mirror: `segue rollback %s --to contract`, then `segue advance %s` builds it", x.name, w.name, w.name)
		}
		u := keptUnique{
			Name: x.name, Schema: x.schema, Def: x.def, Space: x.space, Constraint: x.constraint != 0, Comment: x.comment, Strict: x.strict,
			Clustered: x.clustered, Identity: x.identity, Targets: x.targets, Same: x.kind == sameMirror,
		}
		sql := "DROP INDEX " + catalog.QuoteQualified(x.schema, x.name)
		if u.Constraint {
			sql = "ALTER TABLE " + w.table + " DROP CONSTRAINT " + catalog.QuoteIdent(x.name)
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("dropping the unique index %s: %w", x.name, err)
		}
		if err := w.giveName(ctx, tx, u, u.Strict, u.Name); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// remakeUnique builds the old columns' unique indexes anew, under names of their own, for giveBack to put in their places.
func (w *work) remakeUnique(ctx context.Context) error {
	for _, u := range w.m.Relaxed.Unique {
		x := mirror{
			kind: backMirror, name: u.Name, schema: u.Schema, def: u.Def, space: u.Space, unique: true, asStrict: true,
			own: backName(u.Name, w.name),
		}
		var err error
		if x.exists, x.valid, err = indexStands(ctx, w.conn, w.m, x.schema, x.own); err != nil {
			return err
		}
		if err := w.buildIndex(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// dropRemade drops what a rollback that was begun and taken back has remade.
func (w *work) dropRemade(ctx context.Context) error {
	if w.m.Relaxed == nil {
		return nil
	}
	for _, u := range w.m.Relaxed.Unique {
		exists, _, err := indexStands(ctx, w.conn, w.m, u.Schema, backName(u.Name, w.name))
		if err != nil {
			return err
		}
		if exists {
			if err := w.dropIndex(ctx, u.Schema, backName(u.Name, w.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveBack gives the remade unique indexes their names again, and the new ones theirs.
func (w *work) giveBack(ctx context.Context, tx pgx.Tx) error {
	for _, u := range w.m.Relaxed.Unique {
		plain := u
		plain.Constraint, plain.Comment, plain.Clustered, plain.Identity, plain.Targets = false, "", false, false, nil
		if err := w.giveName(ctx, tx, plain, u.Name, u.Strict); err != nil {
			return err
		}
		if err := w.giveName(ctx, tx, u, backName(u.Name, w.name), u.Name); err != nil {
			return err
		}
	}
	return nil
}

// backPrefix begins the names of unique indexes that are remade on the old columns.
func backPrefix(migration string) string { return "segue_" + migration + "_back_" }

// backName names one of them until it has its own name again.
func backName(index, migration string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(index)) // never fails, says hash.Hash
	return fmt.Sprintf("%s%08x", backPrefix(migration), h.Sum32())
}

// checkUnique demands of unique indexes on the old columns that their mirrors say the same: that a value is unique on one side exactly where it is on the other.
func checkUnique(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	g, err := def.Group()
	if err != nil {
		f.refuse("%s", err)
		return nil
	}
	old, _ := columnNames(def)
	m := &migration{Name: def.Name, Table: f.table, Definition: def}
	indexes, err := readIndexes(ctx, q, m, f.family[0])
	if err != nil {
		return err
	}
	others, err := carried(ctx, q, def.Name, f.table)
	if err != nil {
		return err
	}
	why := ""
	for _, x := range indexes {
		if !x.unique {
			continue
		}
		if why == "" && !g.Same {
			if why, err = notOneToOne(ctx, q, f, g); err != nil {
				return err
			}
		}
		var primary, exclusion, deferrable bool
		if err := q.QueryRow(ctx, "SELECT indisprimary, indisexclusion, NOT indimmediate FROM pg_index WHERE indexrelid = $1", x.index).Scan(&primary, &exclusion, &deferrable); err != nil {
			return fmt.Errorf("reading the index %s: %w", x.name, err)
		}
		name := catalog.QuoteIdent(x.name)
		for _, o := range others {
			if _, columns, _ := strings.Cut(x.def, " USING "); namesAny(columns, o.columns) {
				f.refuse("the unique index %s is also on a column of migration %s, which is under way: wait until that one is retired", name, o.migration)
			}
		}
		switch {
		case primary, exclusion: // checkDependents has said so
		case deferrable:
			f.refuse("the unique constraint %s is DEFERRABLE, and an index that is built without keeping writers waiting is not, so it would refuse what the constraint allows for a moment: this build does not migrate it", name)
		case g.Same:
		case why != "":
			f.refuse("the unique index %s cannot be mirrored: %s", name, why)
		case !x.plain:
			f.refuse("the unique index %s cannot be mirrored: with a change of values, a unique index must have %s as a plain column, of its type's own operator class, and in no expression or predicate",
				name, catalog.QuoteIdent(old[0]))
		case len(g.Old)+len(g.New) > 2 && !x.whole(g):
			f.refuse("the unique index %s cannot be mirrored: it must have each of the columns %s as a key, since they change together", name, strings.Join(old, ", "))
		}
	}
	return nil
}

// carriedBy is the columns that a migration under way lets come and go.
type carriedBy struct {
	migration string
	columns   []string
}

// carried lists them for the other migrations of a table.
func carried(ctx context.Context, q queryer, name string, table uint32) ([]carriedBy, error) {
	ms, err := readMigrations(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []carriedBy
	for _, m := range ms {
		if m.Name != name && m.Table == table && m.Stand.Phase != lens.Retired {
			out = append(out, carriedBy{m.Name, append(m.oldNames(), m.newNames()...)})
		}
	}
	return out, nil
}

// notOneToOne says why values of the old side are not values of the new side and the other way round, as far as an index's equality goes; "" where they are.
func notOneToOne(ctx context.Context, q queryer, f *findings, g *lens.Group) (string, error) {
	switch {
	case len(g.Old) == 0 || len(g.New) == 0:
		return "it takes one column that takes the place of one, or several that change together", nil
	case g.OneWay():
		return "it takes a `down`, by which different values are seen to stay different", nil
	case g.Lossy:
		return "a migration that is lossy does not keep different values different", nil
	}
	several := len(g.Old)+len(g.New) > 2
	types := map[string]bool{}
	for _, o := range g.Old {
		types[f.oldTypes[o.Name].SQL] = true
		name := catalog.QuoteIdent(o.Name)
		var deterministic, notNull bool
		if err := q.QueryRow(ctx, `SELECT COALESCE(c.collisdeterministic, true), a.attnotnull FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
			WHERE a.attrelid = $1 AND a.attname = $2`, f.table, o.Name).Scan(&deterministic, &notNull); err != nil {
			return "", fmt.Errorf("reading column %s: %w", o.Name, err)
		}
		switch {
		case !deterministic:
			return fmt.Sprintf("values of column %s can be equal and yet differ", name), nil
		case several && !notNull: // a key with a NULL is different from any
			return fmt.Sprintf("column %s can be NULL; where several columns are one side, it takes NOT NULL", name), nil
		}
	}
	for _, n := range g.New {
		types[n.Type] = true
		if len(g.New) > 1 && !n.NotNull {
			return fmt.Sprintf("column %s can be NULL; where several columns are one side, it takes not_null = true", catalog.QuoteIdent(n.Name)), nil
		}
	}
	for _, t := range slices.Sorted(maps.Keys(types)) {
		var image bool
		if err := q.QueryRow(ctx, "SELECT COALESCE((SELECT "+sameImage+" FROM pg_type t CROSS JOIN LATERAL (SELECT t.typcollation AS attcollation) a WHERE t.oid = to_regtype($1)), false)", t).Scan(&image); err != nil {
			return "", fmt.Errorf("reading the type %s: %w", t, err)
		}
		if !image {
			return fmt.Sprintf("values of type %s can be equal and yet differ", t), nil
		}
	}
	return "", nil
}
