package migrate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// oldConstraint is a CHECK or an outgoing foreign key of the table that involves an old column, with what takes its place on the new ones.
type oldConstraint struct {
	oid      uint32
	name     string
	own      string // name of the mirror
	def      string // of the mirror, as SQL behind its name
	kept     bool   // the mirror is for old code's sake and goes with it; else it takes the old one's name
	foreign  bool
	loose    bool // it holds for new rows only, so its mirror is not validated either
	exists   bool // the mirror is there
	valid    bool
	unsound  string   // why it has no mirror; "" where it has
	comment  string   // on the old one
	columns  []string // that it names
	external uint32   // the table that a foreign key references
}

// ready says whether the mirror does what it is there for.
func (s oldConstraint) ready() bool { return s.exists && (s.valid || s.loose) }

// demand is the mirror as what makeSure makes.
func (s oldConstraint) demand() demand {
	return demand{name: s.own, def: s.def, loose: s.loose, what: "the mirror of the constraint " + catalog.QuoteIdent(s.name)}
}

// constraintRow is a constraint as the server's books have it.
type constraintRow struct {
	oldConstraint
	expr                          *string // of a CHECK
	noInherit, enforced, period   bool
	key, refKey, setCols          []string
	references                    *string
	onUpdate, onDelete, matchType string
	deferrable, deferred          bool
	partitioned, whole            bool
}

// readStanding lists the CHECKs and outgoing foreign keys that involve an old column. NOT NULLs are none of them.
func readStanding(ctx context.Context, q queryer, m *migration, g *group) ([]oldConstraint, error) {
	rows, err := collect(ctx, q, `
		SELECT c.oid, c.conname, c.contype = 'f', c.convalidated, pg_get_expr(c.conbin, c.conrelid), c.connoinherit, COALESCE((to_jsonb(c)->>'conenforced')::boolean, true),
		       COALESCE((to_jsonb(c)->>'conperiod')::boolean, false), COALESCE(0 = ANY (c.conkey), false),
		       COALESCE((SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY AS k (num, place)
		                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num), '{}'),
		       COALESCE((SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY AS k (num, place)
		                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num), '{}'),
		       COALESCE((SELECT array_agg(a.attname::text ORDER BY k.place) FROM jsonb_array_elements_text(NULLIF(to_jsonb(c)->'confdelsetcols', 'null')) WITH ORDINALITY AS k (num, place)
		                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num::int), '{}'),
		       quote_ident(n.nspname) || '.' || quote_ident(r.relname), c.confrelid, c.confupdtype::text, c.confdeltype::text, c.confmatchtype::text,
		       c.condeferrable, c.condeferred, t.relkind = 'p', COALESCE(obj_description(c.oid, 'pg_constraint'), '')
		FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid LEFT JOIN pg_class r ON r.oid = c.confrelid LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
		WHERE c.conrelid = $1 AND c.contype IN ('c', 'f') AND (0 = ANY (c.conkey) OR EXISTS (
			SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = ANY ($2) AND a.attnum = ANY (c.conkey)))
		ORDER BY c.conname`, func(row pgx.CollectableRow) (x constraintRow, err error) {
		err = row.Scan(&x.oid, &x.name, &x.foreign, &x.valid, &x.expr, &x.noInherit, &x.enforced, &x.period, &x.whole, &x.key, &x.refKey, &x.setCols, &x.references, &x.external,
			&x.onUpdate, &x.onDelete, &x.matchType, &x.deferrable, &x.deferred, &x.partitioned, &x.comment)
		x.loose, x.valid, x.columns = !x.valid, false, x.key
		return x, err
	}, m.Table, m.oldNames())
	if err != nil {
		return nil, fmt.Errorf("reading the constraints: %w", err)
	}
	columns, err := collect(ctx, q, "SELECT attname::text FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped", pgx.RowTo[string], m.Table)
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	var out []oldConstraint
	for _, x := range rows {
		if x.name == proofName(m.Name) {
			continue // it goes with either side
		}
		if g.Dropping { // it goes with its column
			x.exists, x.loose, x.kept = true, true, true
			out = append(out, x.oldConstraint)
			continue
		}
		if slices.ContainsFunc(m.oldNames(), func(o string) bool { return x.name == notNullName(m.Name, o) }) {
			continue // of a rollback that was cut off
		}
		if x.foreign {
			x.mirrorForeign(m, g)
		} else {
			x.mirrorCheck(m, g, columns)
		}
		if !x.enforced {
			x.def += " NOT ENFORCED"
		}
		if err := q.QueryRow(ctx, "SELECT count(*) > 0, COALESCE(bool_and(convalidated), false) FROM pg_constraint WHERE conrelid = $1 AND conname = $2",
			m.Table, x.own).Scan(&x.exists, &x.valid); err != nil {
			return nil, fmt.Errorf("looking for the constraint %s: %w", x.own, err)
		}
		out = append(out, x.oldConstraint)
	}
	return out, nil
}

// mirrorCheck says what stands on the new side in the place of a CHECK. Where a column's value is the same under its new name and type, it is the same CHECK under
// the new name. Where it is another value, it is the old CHECK over what old code reads, for as long as there is old code. A row that agrees by `up` alone says
// nothing about `down`, so a lossy group has none; its old code would write what nobody judges, once the old column is gone.
func (x *constraintRow) mirrorCheck(m *migration, g *group, columns []string) {
	if x.whole {
		x.unsound = "it is about the whole row, which the new columns belong to as well"
		return
	}
	form, err := lens.ParseForm(*x.expr, columns)
	switch {
	case err != nil:
		x.unsound = fmt.Sprintf("this build does not understand its expression (%s)", err)
		return
	case g.preserves():
		x.own = mirrorName(x.name, m.Name)
	case g.Lossy || g.OneWay():
		x.unsound = "what old code writes could not be held against it when the old columns are gone, since `down` does not give it back"
		return
	default:
		x.own, x.kept = keptCheckName(x.name, m.Name), true
	}
	x.def = "CHECK (" + form.Expand(func(c string) string {
		i := slices.IndexFunc(g.old, func(o groupColumn) bool { return o.name == c })
		switch {
		case i < 0:
			return catalog.QuoteIdent(c)
		case x.kept:
			return "((" + g.Old[i].Down.Expand(catalog.QuoteIdent) + ")::" + g.old[i].typ + ")"
		}
		return catalog.QuoteIdent(g.new[i].name)
	}) + ")"
	if x.noInherit {
		x.def += " NO INHERIT"
	}
}

var (
	foreignActions = map[string]string{"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
	foreignMatches = map[string]string{"s": "SIMPLE", "f": "FULL", "p": "PARTIAL"}
)

// mirrorForeign says what stands on the new side in the place of a foreign key: the same one, where the value is the same. While both stand, the action of
// either moves its own column and the guard the other one, so it does not matter which comes first; but only one of them has the default.
func (x *constraintRow) mirrorForeign(m *migration, g *group) {
	switch {
	case !g.preserves():
		x.unsound = "the new side's values are others than those that it references"
		return
	case x.onUpdate == "d" || x.onDelete == "d":
		x.unsound = "its SET DEFAULT would be carried out on two columns, of which one has the default"
		return
	case x.period:
		x.unsound = "it is over a period"
		return
	case x.partitioned:
		x.unsound = "on a partitioned table it cannot be added without keeping writers waiting"
		return
	}
	x.own = mirrorName(x.name, m.Name)
	list := func(columns []string, renamed bool) string {
		var out []string
		for _, c := range columns {
			if renamed && c == g.old[0].name {
				c = g.new[0].name
			}
			out = append(out, catalog.QuoteIdent(c))
		}
		return "(" + strings.Join(out, ", ") + ")"
	}
	x.def = fmt.Sprintf("FOREIGN KEY %s REFERENCES %s %s MATCH %s ON UPDATE %s ON DELETE %s", list(x.key, true), *x.references, list(x.refKey, false),
		foreignMatches[x.matchType], foreignActions[x.onUpdate], foreignActions[x.onDelete])
	if len(x.setCols) > 0 {
		x.def += " " + list(x.setCols, true)
	}
	if x.deferrable {
		x.def += " DEFERRABLE"
	}
	if x.deferred {
		x.def += " INITIALLY DEFERRED"
	}
}

// families are types among which a cast changes nothing that a comparison or another cast to them could see.
var families = map[string]string{
	"smallint": "i", "integer": "i", "bigint": "i", "int2": "i", "int4": "i", "int8": "i", "int": "i",
	"text": "t", "character varying": "t", "varchar": "t",
}

func family(typ string) string {
	base, _, _ := strings.Cut(typ, "(")
	return families[strings.ToLower(strings.TrimSpace(base))]
}

var justCast = regexp.MustCompile(`^[\s()]*(?:::\s*([a-zA-Z0-9 ]+)(?:\(\s*\d+\s*\))?)?[\s()]*$`)

// preserves says that one column takes the place of one and has the same value: under another name, or by a cast among integers or among texts.
func (g *group) preserves() bool {
	if g.Same {
		return true
	}
	if !g.single() || g.Lossy || g.OneWay() || family(g.old[0].typ) == "" || family(g.old[0].typ) != family(g.new[0].typ) {
		return false
	}
	plain := func(f lens.Form) bool {
		seen := false
		for _, p := range f {
			if p.Column != "" {
				if seen {
					return false
				}
				seen = true
				continue
			}
			cast := justCast.FindStringSubmatch(p.Text)
			if cast == nil || cast[1] != "" && family(cast[1]) != family(g.old[0].typ) {
				return false
			}
		}
		return seen
	}
	return plain(g.New[0].Convert) && plain(g.Old[0].Down)
}

// keptCheckName names the CHECK that judges what old code reads in the place of one on the old columns.
func keptCheckName(check, migration string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(check)) // never fails, says hash.Hash
	return fmt.Sprintf("segue_%s_check_%08x", migration, h.Sum32())
}

// keptChecks is a pattern of the names of a migration's.
func keptChecks(migration string) string { return "^segue_" + migration + "_check_[0-9a-f]{8}$" }

// checkStanding refuses the constraints that have no sound mirror, and tries those that have one of another type.
func checkStanding(ctx context.Context, conn *pgx.Conn, def *lens.Definition, f *findings) error {
	m := &migration{Name: def.Name, Table: f.table, Definition: def}
	g, err := readGroup(ctx, conn, m)
	if err != nil {
		return err
	}
	all, err := readStanding(ctx, conn, m, g)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.unsound != "" {
			f.refuse("the constraint %s has an old column in it, and %s: drop it first, or leave the column as it is", catalog.QuoteIdent(s.name), s.unsound)
			continue
		}
		if s.foreign && !g.Dropping {
			var may bool
			var table, role string
			if err := conn.QueryRow(ctx, "SELECT has_table_privilege($1::oid, 'REFERENCES'), $1::oid::regclass::text, quote_ident(current_user)", s.external).Scan(&may, &table, &role); err != nil {
				return err
			}
			if !may {
				f.refuse("the control role may not make a foreign key to %s, as the mirror of %s: GRANT REFERENCES ON %[1]s TO %[3]s", table, catalog.QuoteIdent(s.name), role)
			}
		}
	}
	incoming, err := collect(ctx, conn, `SELECT c.conname::text || ' of ' || c.conrelid::regclass::text FROM pg_constraint c
		WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 AND EXISTS (
			SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = ANY ($2) AND a.attnum = ANY (c.confkey)) ORDER BY 1`, pgx.RowTo[string], f.table, m.oldNames())
	if err != nil {
		return err
	}
	for _, name := range incoming {
		f.refuse("the foreign key %s references an old column, which this build does not carry: drop it first, or leave the column as it is", name)
	}
	if err := checkUniqueNulls(ctx, conn, m, g, f); err != nil {
		return err
	}
	if len(f.problems) > 0 || g.Same || g.Dropping {
		return nil
	}
	return tryStanding(ctx, conn, def, g, all, f)
}

// checkUniqueNulls refuses a unique column whose NULLs, of which there may be many, become one value.
func checkUniqueNulls(ctx context.Context, q queryer, m *migration, g *group, f *findings) error {
	if !g.single() || g.Same || !g.New[0].NotNull || g.old[0].notNull {
		return nil
	}
	indexes, err := readIndexes(ctx, q, m, f.family[0])
	if err != nil {
		return err
	}
	for _, x := range indexes {
		if !x.unique {
			continue
		}
		up := "((" + g.New[0].Convert.Expand(func(string) string { return "(NULL::" + g.old[0].typ + ")" }) + ")::" + g.new[0].typ + ")"
		var set bool
		if err := q.QueryRow(ctx, "SELECT "+up+" IS NOT NULL").Scan(&set); err != nil {
			return fmt.Errorf("trying `up` of %s on NULL: %w", g.new[0].name, err)
		}
		if set {
			f.refuse("the unique index %s cannot be mirrored: its column may be NULL in many rows, of which `up` makes one value", catalog.QuoteIdent(x.name))
		}
	}
	return nil
}

// tryStanding lets the server judge the mirrored CHECKs, on a table that is made like the migrating one and taken away again.
func tryStanding(ctx context.Context, conn *pgx.Conn, def *lens.Definition, g *group, all []oldConstraint, f *findings) error {
	return undone(ctx, conn, func(tx pgx.Tx) error {
		x := &trial{tx: tx, table: catalog.QuoteQualified("segue", "check_"+strings.ReplaceAll(newID(), "-", ""))}
		made := false
		for _, s := range all {
			if s.foreign {
				continue
			}
			if !made {
				sql := "CREATE TABLE " + x.table + " (LIKE " + def.Table.String() + ")"
				for _, n := range g.new {
					sql += "; ALTER TABLE " + x.table + " ADD COLUMN " + catalog.QuoteIdent(n.name) + " " + n.typ
				}
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
				made = true
			}
			refused, err := x.try(ctx, "ALTER TABLE "+x.table+" ADD CONSTRAINT "+catalog.QuoteIdent(s.own)+" "+s.def)
			if err != nil {
				return err
			}
			if refused != nil {
				f.refuse("the constraint %s cannot be on the new column: %s: drop it first", catalog.QuoteIdent(s.name), refused.message)
			}
		}
		return nil
	})
}

// mirrorStanding makes and validates the mirrors of constraints.
func (w *work) mirrorStanding(ctx context.Context, g *group) error {
	all, err := readStanding(ctx, w.conn, w.m, g)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.unsound != "" || g.Dropping { // the gate says so
			continue
		}
		if err := w.makeSure(ctx, s.demand()); err != nil {
			return err
		}
	}
	return nil
}

// takeName gives the mirror the name of the constraint that has gone with its column.
func (s oldConstraint) takeName(ctx context.Context, tx pgx.Tx, table string) error {
	if !s.exists || s.kept {
		return nil
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" RENAME CONSTRAINT "+catalog.QuoteIdent(s.own)+" TO "+catalog.QuoteIdent(s.name)); err != nil {
		return fmt.Errorf("renaming the constraint %s: %w", s.own, err)
	}
	if s.comment == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, "COMMENT ON CONSTRAINT "+catalog.QuoteIdent(s.name)+" ON "+table+" IS "+quoteLiteral(s.comment)); err != nil {
		return fmt.Errorf("commenting on the constraint %s: %w", s.name, err)
	}
	return nil
}

// sharedConstraint names a constraint that has columns of a definition and of another migration in it: each of the two would have to mirror the other's mirror.
func sharedConstraint(ctx context.Context, q queryer, def *lens.Definition, table uint32, ms []*migration) (constraint, other string, err error) {
	m := &migration{Name: def.Name, Table: table, Definition: def}
	for _, o := range ms {
		if o.Name == def.Name || o.Table != table || o.Stand.Phase == lens.Retired {
			continue
		}
		err := q.QueryRow(ctx, `SELECT c.conname FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype IN ('c', 'f')
			AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (c.conkey) AND a.attname = ANY ($2))
			AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (c.conkey) AND a.attname = ANY ($3)) LIMIT 1`,
			table, m.oldNames(), slices.Concat(o.oldNames(), o.newNames())).Scan(&constraint)
		if err == nil {
			return constraint, o.Name, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return "", "", fmt.Errorf("reading the constraints: %w", err)
		}
	}
	return "", "", nil
}
