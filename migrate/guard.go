package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// guardRecord is the guard as it was made. Mark tells any later change of it, also one that was taken back: each row's xmin is the transaction
// that wrote it.
type guardRecord struct {
	Trigger  uint32 `json:"trigger"`
	Function uint32 `json:"function"`
	Enabled  string `json:"enabled"`
	Source   string `json:"source"` // hash of the function's definition
	Mark     string `json:"mark"`
}

// guardTrigger names the trigger so that it fires last: triggers fire in the order of their names' bytes.
func guardTrigger(migration string) string { return "~segue_" + migration }

// guardFunction is the trigger's function, as SQL.
func guardFunction(migration string) string {
	return catalog.QuoteQualified("segue", "guard_"+migration)
}

// guardPair is one old and new column with what the guard needs to know about them.
type guardPair struct {
	lens.Pair
	image bool   // the types' = means the same image
	def   string // the default that stands on the new column and stood on the old one; "" for none
}

// differs is an SQL condition that is true where two values are not the same image. It is kept small where the type allows: PostgreSQL reads a WHEN
// from its text form in every statement.
func (p guardPair) differs(a, b string) string {
	if p.image {
		return fmt.Sprintf("%s IS DISTINCT FROM %s", a, b)
	}
	return fmt.Sprintf("NOT pg_catalog.record_image_eq(ROW(%s), ROW(%s))", a, b)
}

func (p guardPair) old(row string) string { return row + "." + catalog.QuoteIdent(p.Old) }
func (p guardPair) new(row string) string { return row + "." + catalog.QuoteIdent(p.New) }
func (p guardPair) up(row string) string  { return p.Up.SQL(row, p.old(row)) }
func (p guardPair) down(row string) string {
	return p.Down.SQL(row, p.new(row))
}

// apart is true where the row's group does not agree.
func (p guardPair) apart(row string) string { return p.differs(p.new(row), p.up(row)) }

// guardPairs reads what the guard needs of the old columns.
func guardPairs(ctx context.Context, q queryer, m *migration) ([]guardPair, error) {
	var out []guardPair
	for _, p := range m.Definition.Pairs() {
		c, err := readColumn(ctx, q, m.Table, p.Old)
		if err != nil {
			return nil, err
		}
		g := guardPair{Pair: p, image: c.Image, def: c.Default}
		if m.Relaxed != nil {
			g.def = m.Relaxed.Old[p.Old].Default
		}
		out = append(out, g)
	}
	return out, nil
}

// guardWhen is the trigger's WHEN: it is false for writes that agree already, which then never call the guard.
func guardWhen(pairs []guardPair) string {
	var conds []string
	for _, p := range pairs {
		conds = append(conds, p.apart("NEW"))
	}
	return strings.Join(conds, " OR ")
}

// ownTriggers is true where the table has BEFORE ROW triggers of its own for what is being done. They edit the old column after our rewrite, and their edit
// must reach the new one. They are looked for when the guard is called, since one may be added at any time.
const ownTriggers = `EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = TG_RELID AND NOT t.tgisinternal AND t.tgenabled <> 'D'
        AND t.tgtype::integer & 3 = 3 AND t.tgtype::integer & (CASE TG_OP WHEN 'INSERT' THEN 4 ELSE 16 END) <> 0
        AND t.tgname NOT LIKE '~segue\_%')`

// guardBody writes the guard's function. relaxed is its form from (a3) on: the old column has lost its default to the new one, so a side that equals
// the default is one that was not given; and the old side has no precedence any more.
func guardBody(migration string, pairs []guardPair, relaxed bool) string {
	var b strings.Builder
	b.WriteString("DECLARE\n  old_moved boolean;\n  new_moved boolean;\nBEGIN\n")
	for _, p := range pairs {
		oldCol, newCol := p.old("NEW"), p.new("NEW")
		fill := fmt.Sprintf("%s := %s;", newCol, p.up("NEW"))
		fillOld := fmt.Sprintf("%s := %s;", oldCol, p.down("NEW"))
		raise := fmt.Sprintf(`RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',
        MESSAGE = %s, HINT = %s,
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = %s;`,
			quoteLiteral(fmt.Sprintf("columns %s and %s were given different values", catalog.QuoteIdent(p.Old), catalog.QuoteIdent(p.New))),
			quoteLiteral(fmt.Sprintf("Migration %s keeps them the same: write one of them, or one value to both.", migration)), quoteLiteral(p.New))
		own := ""
		if !relaxed {
			own = ownTriggers
		}
		fmt.Fprintf(&b, "  IF %s THEN\n", p.apart("NEW"))
		fmt.Fprintf(&b, "    IF TG_OP = 'INSERT' THEN\n")
		fmt.Fprintf(&b, "      IF %s IS NULL THEN\n        %s\n", newCol, fill)
		fmt.Fprintf(&b, "      ELSIF %s IS NULL THEN\n        %s\n", oldCol, fillOld)
		if relaxed && p.def != "" {
			fmt.Fprintf(&b, "      ELSIF NOT (%s) THEN\n        %s\n", p.differs(newCol, "("+p.def+")"), fill)
			fmt.Fprintf(&b, "      ELSIF NOT (%s) THEN\n        %s\n", p.differs(oldCol, "("+p.def+")"), fillOld)
		}
		if own != "" {
			fmt.Fprintf(&b, "      ELSIF %s THEN\n        %s\n", own, fill)
		}
		fmt.Fprintf(&b, "      ELSE\n        %s\n      END IF;\n", raise)
		fmt.Fprintf(&b, "    ELSE\n      old_moved := %s;\n      new_moved := %s;\n", p.differs(oldCol, p.old("OLD")), p.differs(newCol, p.new("OLD")))
		fmt.Fprintf(&b, "      IF new_moved AND NOT old_moved THEN\n        %s\n", fillOld)
		if own != "" {
			fmt.Fprintf(&b, "      ELSIF new_moved AND NOT %s THEN\n        %s\n", own, raise)
		} else {
			fmt.Fprintf(&b, "      ELSIF new_moved THEN\n        %s\n", raise)
		}
		fmt.Fprintf(&b, "      ELSE\n        %s\n      END IF;\n    END IF;\n  END IF;\n", fill)
	}
	b.WriteString("  RETURN NEW;\nEND")
	return b.String()
}

// makeFunction creates or replaces the guard's function.
func makeFunction(ctx context.Context, tx pgx.Tx, m *migration, pairs []guardPair, relaxed bool) error {
	body := guardBody(m.Name, pairs, relaxed)
	tag := "$guard$"
	for i := 0; strings.Contains(body, tag); i++ {
		tag = fmt.Sprintf("$guard%d$", i)
	}
	fn := guardFunction(m.Name)
	for _, sql := range []string{
		"CREATE OR REPLACE FUNCTION " + fn + "() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS " + tag + "\n" + body + "\n" + tag,
		"GRANT EXECUTE ON FUNCTION " + fn + "() TO PUBLIC",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the guard's function: %w", err)
		}
	}
	return nil
}

// makeGuard makes the guard, anew where there is one, and records it in the migration's row.
func makeGuard(ctx context.Context, tx pgx.Tx, m *migration, table string) error {
	pairs, err := guardPairs(ctx, tx, m)
	if err != nil {
		return err
	}
	if err := makeFunction(ctx, tx, m, pairs, m.Relaxed != nil); err != nil {
		return err
	}
	trigger := catalog.QuoteIdent(guardTrigger(m.Name))
	for _, sql := range []string{
		"DROP TRIGGER IF EXISTS " + trigger + " ON " + table,
		"CREATE TRIGGER " + trigger + " BEFORE INSERT OR UPDATE ON " + table + " FOR EACH ROW WHEN (" + guardWhen(pairs) + ") EXECUTE FUNCTION " + guardFunction(m.Name) + "()",
		"ALTER TABLE " + table + " ENABLE ALWAYS TRIGGER " + trigger, // logical replication applies as a replica
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the guard: %w", err)
		}
	}
	return recordGuard(ctx, tx, m)
}

// recordGuard writes down the guard as it is now, at the end of the transaction that made it.
func recordGuard(ctx context.Context, tx pgx.Tx, m *migration) error {
	g, err := readGuard(ctx, tx, m)
	if err != nil {
		return err
	}
	if g == nil {
		return errors.New("recording the guard: it is gone")
	}
	if _, err := tx.Exec(ctx, "UPDATE segue.migration SET guard = $2 WHERE name = $1", m.Name, g); err != nil {
		return fmt.Errorf("recording the guard: %w", err)
	}
	return nil
}

// dropGuard drops trigger and function; table is "" where it was dropped. What somebody else has dropped already is no error.
func dropGuard(ctx context.Context, tx pgx.Tx, m *migration, table string) error {
	if table != "" {
		if _, err := tx.Exec(ctx, "DROP TRIGGER IF EXISTS "+catalog.QuoteIdent(guardTrigger(m.Name))+" ON "+table); err != nil {
			return fmt.Errorf("dropping the guard: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, "DROP FUNCTION IF EXISTS "+guardFunction(m.Name)+"()"); err != nil {
		return fmt.Errorf("dropping the guard's function: %w", err)
	}
	return nil
}

// readGuard reads the guard as it is now; nil where there is none.
func readGuard(ctx context.Context, q queryer, m *migration) (*guardRecord, error) {
	g := &guardRecord{}
	err := q.QueryRow(ctx, `
		SELECT t.oid, p.oid, t.tgenabled::text, md5(pg_get_functiondef(p.oid)), t.xmin::text || '/' || p.xmin::text
		FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = $1 AND t.tgname = $2`,
		m.Table, guardTrigger(m.Name)).Scan(&g.Trigger, &g.Function, &g.Enabled, &g.Source, &g.Mark)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	return g, nil
}

// guardStands says whether the guard is the one that was made and has been in force ever since.
func guardStands(ctx context.Context, q queryer, m *migration) (bool, error) {
	g, err := readGuard(ctx, q, m)
	if err != nil || g == nil || m.Guard == nil {
		return false, err
	}
	return *g == *m.Guard && g.Enabled == "A", nil
}
