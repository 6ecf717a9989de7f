package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Source   string `json:"source"` // hash of the definitions of its function and of those that its WHEN calls: `up` and `down` call no others
	Mark     string `json:"mark"`
	// Relatives are the guards of the partitions and inheritance children whose rows have been under the guard since, or have been looked at with it in place.
	Relatives map[uint32]relativeGuard `json:"relatives,omitempty"`
	// Target is the new table of a split, whose guard is several triggers: Trigger and Function are 0, and Source and Mark are of all of them.
	Target *lens.Target `json:"target,omitempty"`
}

// relativeGuard is the guard of a partition or a child, which is a trigger of its own.
type relativeGuard struct {
	Trigger  uint32 `json:"trigger"`
	Function uint32 `json:"function"`
	Enabled  string `json:"enabled"`
	Mark     string `json:"mark"`
}

// guardTrigger names the trigger so that it fires last: triggers fire in the order of their names' bytes.
func guardTrigger(migration string) string { return "~segue_" + migration }

// guardFunction is the trigger's function, as SQL.
func guardFunction(migration string) string {
	return catalog.QuoteQualified("segue", "guard_"+migration)
}

// ownTriggers is true where the table has BEFORE ROW triggers of its own for what is being done. They edit the old column after our rewrite, and their edit
// must reach the new one. They are looked for when the guard is called, since one may be added at any time.
const ownTriggers = `EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = TG_RELID AND NOT t.tgisinternal AND t.tgenabled <> 'D'
        AND t.tgtype::integer & 3 = 3 AND t.tgtype::integer & (CASE TG_OP WHEN 'INSERT' THEN 4 ELSE 16 END) <> 0
        AND t.tgname NOT LIKE '~segue\_%')`

// guardBody writes the guard's function. relaxed is its form from (a3) on: the old columns have lost their defaults to the new ones, so a side that equals
// the defaults is one that was not given; and the old side has no precedence any more.
func guardBody(g *group, relaxed bool) string {
	x := guardText{group: g, relaxed: relaxed}
	var b strings.Builder
	b.WriteString("DECLARE\n  old_moved boolean;\n  new_moved boolean;\nBEGIN\n")
	fmt.Fprintf(&b, "  IF %s THEN\n", g.apart("NEW"))
	if cond := x.formless(); cond != "" {
		fmt.Fprintf(&b, "    IF %s THEN\n      %s\n    END IF;\n", cond, x.raiseFormless())
	}
	if relaxed && g.Adding { // new code's values are its own; what it does not give, and old code does not know, goes on being filled
		fmt.Fprintf(&b, "    IF TG_OP = 'INSERT' THEN\n      IF %s THEN\n        %s\n      END IF;\n", unset(g.new, "NEW"), x.fillNew())
		fmt.Fprintf(&b, "    ELSIF (%s) AND NOT (%s) THEN\n      %s\n    END IF;\n  END IF;\n  RETURN NEW;\nEND", moved(g.old), moved(g.new), x.fillNew())
		return b.String()
	}
	b.WriteString("    IF TG_OP = 'INSERT' THEN\n")
	x.insert(&b)
	fmt.Fprintf(&b, "    ELSE\n      old_moved := %s;\n      new_moved := %s;\n", moved(g.old), moved(g.new))
	x.update(&b)
	b.WriteString("    END IF;\n")
	if !g.Same && !(relaxed && g.OneWay()) {
		fmt.Fprintf(&b, "    IF %s THEN\n      %s\n    END IF;\n", x.unlessNull("("+g.apart("NEW")+")"), x.raiseFormless())
	}
	b.WriteString("  END IF;\n  RETURN NEW;\nEND")
	return b.String()
}

// guardText writes the pieces of a guard's function.
type guardText struct {
	*group
	relaxed bool
}

func (x guardText) insert(b *strings.Builder) {
	fmt.Fprintf(b, "      IF %s THEN\n        %s\n", unset(x.new, "NEW"), x.fillNew())
	fmt.Fprintf(b, "      ELSIF %s THEN\n        %s\n", unset(x.old, "NEW"), x.fillOld())
	if x.relaxed && x.newDefaults() {
		var atNew, atOld []string
		for _, n := range x.new {
			def := n.def
			if def == "" {
				def = "NULL::" + n.typ
			}
			atNew = append(atNew, "NOT ("+n.differs(n.of("NEW"), "("+def+")")+")")
		}
		for _, o := range x.old {
			atOld = append(atOld, "NOT ("+o.differs(o.of("NEW"), x.oldDefault(o.name))+")")
		}
		fmt.Fprintf(b, "      ELSIF %s THEN\n        %s\n", strings.Join(atNew, " AND "), x.fillNew())
		fmt.Fprintf(b, "      ELSIF %s THEN\n        %s\n", strings.Join(atOld, " AND "), x.fillOld())
	}
	if !x.relaxed {
		fmt.Fprintf(b, "      ELSIF %s THEN\n        %s\n", ownTriggers, x.fillNew())
	}
	fmt.Fprintf(b, "      ELSE\n        %s\n      END IF;\n", x.raiseApart())
}

func (x guardText) update(b *strings.Builder) {
	fmt.Fprintf(b, "      IF new_moved AND NOT old_moved THEN\n        %s\n", x.fillOld())
	if x.relaxed {
		fmt.Fprintf(b, "      ELSIF new_moved THEN\n        %s\n", x.raiseApart())
	} else {
		fmt.Fprintf(b, "      ELSIF new_moved AND NOT %s THEN\n        %s\n", ownTriggers, x.raiseApart())
	}
	if x.relaxed && x.OneWay() { // the old columns are not kept in step any more
		fmt.Fprintf(b, "      ELSIF old_moved THEN\n        %s\n      END IF;\n", x.fillNew())
		return
	}
	fmt.Fprintf(b, "      ELSE\n        %s\n      END IF;\n", x.fillNew())
}

// formless is true where one side is the image of the other and not the other way round: then there is nothing to fill, and one of them has no
// form on the other side. "" where that is no error.
func (x guardText) formless() string {
	down := x.downApart("NEW")
	if x.Same || x.Lossy || down == "" {
		return ""
	}
	return x.unlessNull(fmt.Sprintf("(NOT (%s) OR NOT (%s))", x.upApart("NEW"), down))
}

// unlessNull leaves a NULL where none may be to be filled, or to the column's own constraint, which the server looks at after the triggers.
func (x guardText) unlessNull(cond string) string {
	if slices.ContainsFunc(x.New, func(n lens.NewColumn) bool { return n.NotNull }) {
		cond += " AND NOT (" + unset(x.new, "NEW") + ")"
	}
	if null := x.oldNull(); null != "" {
		cond += " AND NOT (" + null + ")"
	}
	return cond
}

// oldNull is true where an old column is NULL that must not be: the server will say so. What stands now is asked, so that nothing gets by that the server would
// take. "" where no old column is NOT NULL.
func (x guardText) oldNull() string {
	var nulls []string
	for _, o := range x.old {
		if o.notNull {
			nulls = append(nulls, fmt.Sprintf("pg_catalog.num_nulls(%s) = 1 AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = TG_RELID AND a.attname = %s AND a.attnotnull)",
				o.of("NEW"), quoteLiteral(o.name)))
		}
	}
	return strings.Join(nulls, " OR ")
}

func (x guardText) fillNew() string {
	var out []string
	for i, n := range x.new {
		out = append(out, fmt.Sprintf("%s := %s;", n.of("NEW"), x.up(i, "NEW")))
	}
	return strings.Join(out, " ")
}

func (x guardText) fillOld() string {
	switch {
	case x.OneWay() && x.relaxed:
		return "NULL; -- there is no way back, and nobody reads the old side any more"
	case x.Adding:
		return x.raise("integrity_constraint_violation", fmt.Sprintf("%s cannot be given a value that is not what `up` says", plural("column", x.new)),
			fmt.Sprintf("Migration %s keeps it so until it is complete: leave the column out, or write what it says.", x.migration))
	case x.OneWay():
		return x.raise("integrity_constraint_violation", fmt.Sprintf("%s cannot be written while %s stands", plural("column", x.new), names(x.old)),
			fmt.Sprintf("Migration %s has no way back: write the old side.", x.migration))
	}
	var out []string
	for i, o := range x.old {
		out = append(out, fmt.Sprintf("%s := %s;", o.of("NEW"), x.down(i, "NEW")))
	}
	return strings.Join(out, " ")
}

func (x guardText) raiseApart() string {
	if x.Adding {
		return x.fillOld()
	}
	if x.single() {
		return x.raise("integrity_constraint_violation", fmt.Sprintf("columns %s and %s were given different values", names(x.old), names(x.new)),
			fmt.Sprintf("Migration %s keeps them the same: write one of them, or one value to both.", x.migration))
	}
	raise := x.raise("integrity_constraint_violation", fmt.Sprintf("columns %s and %s were given values that do not agree", names(x.old), names(x.new)),
		fmt.Sprintf("Migration %s keeps them in agreement: write one side of it.", x.migration))
	if null := x.oldNull(); null != "" {
		return "IF NOT (" + null + ") THEN\n          " + raise + "\n        END IF;"
	}
	return raise
}

func (x guardText) raiseFormless() string {
	hint := fmt.Sprintf("Migration %s carries what both sides can hold; one with allow = [\"lossy\"] would let the sides differ.", x.migration)
	if x.Lossy {
		hint = fmt.Sprintf("Migration %s carries what the other side can hold.", x.migration)
	}
	return x.raise("data_exception", fmt.Sprintf("what was written to %s has no form on the other side, %s, or would not come back from there as it is", names(x.old), names(x.new)), hint)
}

func (x guardText) raise(code, message, hint string) string {
	return fmt.Sprintf(`RAISE EXCEPTION USING ERRCODE = '%s',
        MESSAGE = %s, HINT = %s,
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = %s;`, code, quoteLiteral(message), quoteLiteral(hint), quoteLiteral(x.new[0].name))
}

// plural writes a word and the names of columns behind it.
func plural(word string, side []groupColumn) string {
	if len(side) > 1 {
		word += "s"
	}
	return word + " " + names(side)
}

// makeFunction creates or replaces the guard's function.
func makeFunction(ctx context.Context, tx pgx.Tx, m *migration, g *group, relaxed bool) error {
	body := guardBody(g, relaxed)
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
func makeGuard(ctx context.Context, tx pgx.Tx, m *migration) error {
	g, err := readGroup(ctx, tx, m)
	if err != nil || g.Dropping {
		return err
	}
	if err := makeFunction(ctx, tx, m, g, m.Relaxed != nil); err != nil {
		return err
	}
	family, err := readFamily(ctx, tx, m.Table)
	if err != nil {
		return err
	}
	trigger := catalog.QuoteIdent(guardTrigger(m.Name))
	sqls := lockFirst(family)
	for _, r := range family {
		if !r.partition { // partitions have it from the table
			sqls = append(sqls, "DROP TRIGGER IF EXISTS "+trigger+" ON "+r.name,
				"CREATE TRIGGER "+trigger+" BEFORE INSERT OR UPDATE ON "+r.name+" FOR EACH ROW WHEN ("+g.apart("NEW")+") EXECUTE FUNCTION "+guardFunction(m.Name)+"()")
		}
		sqls = append(sqls, "ALTER TABLE "+r.name+" ENABLE ALWAYS TRIGGER "+trigger) // logical replication applies as a replica, and to partitions by their names
	}
	if err := execAll(ctx, tx, sqls); err != nil {
		return fmt.Errorf("making the guard: %w", err)
	}
	relatives, err := readRelativeGuards(ctx, tx, m)
	if err != nil {
		return err
	}
	return recordGuard(ctx, tx, m, relatives)
}

// recordGuard writes down the guard as it is now, at the end of the transaction that made it. relatives are those whose rows it has had under it.
func recordGuard(ctx context.Context, tx pgx.Tx, m *migration, relatives map[uint32]relativeGuard) error {
	g, err := readGuard(ctx, tx, m)
	if err != nil {
		return err
	}
	if g == nil {
		return errors.New("recording the guard: it is gone")
	}
	g.Relatives = relatives
	if _, err := tx.Exec(ctx, "UPDATE segue.migration SET guard = $2 WHERE name = $1", m.Name, g); err != nil {
		return fmt.Errorf("recording the guard: %w", err)
	}
	return nil
}

// dropGuard drops triggers and function; gone says that the table was dropped. What somebody else has dropped already is no error.
func dropGuard(ctx context.Context, tx pgx.Tx, m *migration, gone bool) error {
	var sqls []string
	if !gone {
		family, err := readFamily(ctx, tx, m.Table)
		if err != nil {
			return err
		}
		sqls = lockFirst(family)
		for _, r := range family {
			if !r.partition {
				sqls = append(sqls, "DROP TRIGGER IF EXISTS "+catalog.QuoteIdent(guardTrigger(m.Name))+" ON "+r.name)
			}
		}
	}
	sqls = append(sqls, "DROP FUNCTION IF EXISTS "+guardFunction(m.Name)+"()")
	if err := execAll(ctx, tx, sqls); err != nil {
		return fmt.Errorf("dropping the guard: %w", err)
	}
	return nil
}

// readGuard reads the guard as it is now; nil where there is none.
func readGuard(ctx context.Context, q queryer, m *migration) (*guardRecord, error) {
	g := &guardRecord{}
	err := q.QueryRow(ctx, `
		SELECT t.oid, t.tgfoid, t.tgenabled::text, f.source, t.xmin::text || '/' || f.mark
		FROM pg_trigger t CROSS JOIN LATERAL (
			SELECT md5(string_agg(pg_get_functiondef(p.oid), ' ' ORDER BY p.oid)) AS source, string_agg(p.xmin::text, '/' ORDER BY p.oid) AS mark
			FROM pg_proc p WHERE p.oid = ANY (ARRAY(SELECT t.tgfoid UNION
				SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_proc'::regclass))) f
		WHERE t.tgrelid = $1 AND t.tgname = $2`,
		m.Table, guardTrigger(m.Name)).Scan(&g.Trigger, &g.Function, &g.Enabled, &g.Source, &g.Mark)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	return g, nil
}

// readRelativeGuards reads the guards of the partitions and children as they are now, by the relation; those without one are not there.
func readRelativeGuards(ctx context.Context, q queryer, m *migration) (map[uint32]relativeGuard, error) {
	rows, err := q.Query(ctx, `SELECT t.tgrelid, t.oid, t.tgfoid, t.tgenabled::text, t.xmin::text FROM `+fmt.Sprintf(familySQL, "$1")+` f
		JOIN pg_trigger t ON t.tgrelid = f.oid WHERE f.oid <> $1 AND t.tgname = $2`, m.Table, guardTrigger(m.Name))
	if err != nil {
		return nil, fmt.Errorf("reading the partitions' guards: %w", err)
	}
	out := map[uint32]relativeGuard{}
	var oid uint32
	var g relativeGuard
	if _, err := pgx.ForEachRow(rows, []any{&oid, &g.Trigger, &g.Function, &g.Enabled, &g.Mark}, func() error {
		out[oid] = g
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading the partitions' guards: %w", err)
	}
	return out, nil
}

// guardStands says whether the guard is the one that was made and has been in force ever since; and whether each partition and child has it, and has it in
// force now. Which of these have come since, unseen says.
func guardStands(ctx context.Context, q queryer, m *migration) (bool, error) {
	if m.dropping() {
		return true, nil // there is nothing to guard
	}
	if m.splitting() {
		return splitGuardStands(ctx, q, m)
	}
	g, err := readGuard(ctx, q, m)
	if err != nil || g == nil || m.Guard == nil {
		return false, err
	}
	if g.Trigger != m.Guard.Trigger || g.Function != m.Guard.Function || g.Source != m.Guard.Source || g.Mark != m.Guard.Mark || g.Enabled != "A" || m.Guard.Enabled != "A" {
		return false, nil
	}
	family, err := readFamily(ctx, q, m.Table)
	if err != nil || len(family) == 1 {
		return true, err
	}
	relatives, err := readRelativeGuards(ctx, q, m)
	if err != nil {
		return false, err
	}
	for _, r := range family[1:] {
		if x := relatives[r.oid]; x.Function != g.Function || x.Enabled != "A" {
			return false, nil
		}
	}
	return true, nil
}
