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

// The guard of a split is in both tables: AFTER ROW triggers, since their queries take fresh snapshots at READ COMMITTED, and whoever writes has locked the source's
// row by then. Each brings the other table to what its own table says now, not to what the row was when the trigger was queued: a statement may have written it again since.
// What agrees is not written, which ends the recursion.
//
// The triggers of the source that take rows of the target along have a name before PostgreSQL's own RI_ConstraintTrigger: a foreign key without CASCADE would stop old
// code's DELETE else. The others fire last, so that a table's own errors come first.

// names of the guard's triggers and functions.
func (s *split) early(what string) string {
	return catalog.QuoteIdent("!segue_" + s.migration + ":" + what)
}

func (s *split) late(what string) string {
	return catalog.QuoteIdent("~segue_" + s.migration + ":" + what)
}

// function names one of the guard's functions. A migration's name has no colon in it, so none is taken for another's.
func (s *split) function(what string) string {
	return catalog.QuoteQualified("segue", "guard_"+s.migration+":"+what)
}

// Settings that hold for a transaction: that the source's row of what is being written is locked; that a row of the target is being moved to another key; that the values of
// columns which are required are still to come.
func (s *split) lockedSetting() string { return quoteLiteral("segue.locked_" + s.migration) }
func (s *split) movingSetting() string { return quoteLiteral("segue.moving_" + s.migration) }
func (s *split) absentSetting() string { return quoteLiteral("segue.absent_" + s.migration) }

func keyImage(key []splitColumn, a, b func(c splitColumn) string) string {
	return "ROW(" + each(key, ", ", a) + ", " + each(key, ", ", b) + ")::text"
}

// sourceOf and targetOf give a function that qualifies a source's or a target's column.
func sourceOf(row string) func(splitColumn) string {
	return func(c splitColumn) string { return c.source(row) }
}

func targetOf(row string) func(splitColumn) string {
	return func(c splitColumn) string { return c.targ(row) }
}

func (s *split) keyDiffers(row func(string) func(splitColumn) string) string {
	return each(s.key, " OR ", func(c splitColumn) string { return c.differs(row("NEW")(c), row("OLD")(c)) })
}

// sourceBody is the function of the source's triggers.
func (s *split) sourceBody() string {
	at := func(row string) string { return keyed(s.key, sourceOf("s"), sourceOf(row)) }
	target := func(row string) string { return keyed(s.key, targetOf("t"), sourceOf(row)) }
	set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.to) + " = " + c.source("s") })
	excluded := each(s.moved, ", ", func(c splitColumn) string {
		return catalog.QuoteIdent(c.to) + " = EXCLUDED." + catalog.QuoteIdent(c.to)
	})
	changed := each(s.moved, " OR ", func(c splitColumn) string { return c.differs(c.targ("t"), c.targ("EXCLUDED")) })
	columns := targets(s.key, "") + ", " + targets(s.moved, "")
	update := fmt.Sprintf("UPDATE %s AS t SET %s FROM %s AS s WHERE %s AND %s AND %s AND (%s);", s.to, set, s.table, at("NEW"), target("NEW"), s.filled("s"), s.apart("s", "t"))
	insert := fmt.Sprintf("INSERT INTO %s AS t (%s) SELECT %s, %s FROM %s AS s WHERE %s AND %s ON CONFLICT (%s) DO ", s.to, columns,
		sources(s.key, "s"), sources(s.moved, "s"), s.table, at("NEW"), s.filled("s"), targets(s.key, ""))
	remove := func(row string) string {
		return fmt.Sprintf("DELETE FROM %s AS t WHERE %s AND NOT EXISTS (SELECT FROM %s AS s WHERE %s AND %s);", s.to, target(row), s.table, at(row), s.filled("s"))
	}
	disagree := fmt.Sprintf("EXISTS (SELECT FROM %s AS s LEFT JOIN %s AS t ON %s WHERE %s AND %s)", s.table, s.to, s.joined("s", "t"), at("NEW"), s.disagree("s"))
	keyMoved := s.keyDiffers(sourceOf)
	var b strings.Builder
	b.WriteString("DECLARE\n  wrote boolean := false;\nBEGIN\n")
	fmt.Fprintf(&b, "  IF TG_OP = 'UPDATE' AND pg_catalog.pg_trigger_depth() > 1 THEN -- the target's side of the guard has written it, as a rule\n    IF NOT (%s) AND NOT %s THEN\n      RETURN NULL;\n    END IF;\n  END IF;\n", keyMoved, disagree)
	b.WriteString("  PERFORM pg_catalog.set_config(" + s.lockedSetting() + ", 'on', true);\n")
	b.WriteString("  IF TG_OP = 'DELETE' THEN\n    " + remove("OLD") + "\n")
	b.WriteString("    IF NOT FOUND THEN\n" + s.probe("      ") + "    END IF;\n    wrote := true;\n")
	b.WriteString("  ELSIF TG_OP = 'INSERT' THEN\n    " + insert + "NOTHING;\n    wrote := FOUND;\n    IF NOT wrote THEN\n      " + update + "\n      wrote := FOUND;\n    END IF;\n")
	b.WriteString("  ELSE\n")
	fmt.Fprintf(&b, "    IF %s THEN -- the row goes along, with what else it has\n", keyMoved)
	fmt.Fprintf(&b, "      PERFORM pg_catalog.set_config(%s, %s, true);\n", s.movingSetting(), keyImage(s.key, sourceOf("OLD"), sourceOf("NEW")))
	fmt.Fprintf(&b, "      UPDATE %s AS t SET %s WHERE %s;\n", s.to, each(s.key, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.to) + " = " + c.source("NEW") }), target("OLD"))
	fmt.Fprintf(&b, "      IF NOT FOUND THEN\n%s      END IF;\n", s.probe("        "))
	fmt.Fprintf(&b, "      PERFORM pg_catalog.set_config(%s, '', true);\n    END IF;\n", s.movingSetting())
	b.WriteString("    IF " + s.filled("NEW") + " THEN\n      " + update + "\n      wrote := FOUND;\n      IF NOT wrote THEN\n        " + insert + "UPDATE SET " + excluded + " WHERE " + changed + ";\n        wrote := FOUND;\n      END IF;\n")
	b.WriteString("    ELSE\n      " + remove("NEW") + "\n      wrote := FOUND;\n      IF NOT wrote THEN\n" + s.probe("        ") + "      END IF;\n    END IF;\n  END IF;\n")
	b.WriteString("  PERFORM pg_catalog.set_config(" + s.lockedSetting() + ", '', true);\n")
	fmt.Fprintf(&b, "  IF NOT wrote AND %s THEN\n    %s\n  END IF;\n  RETURN NULL;\nEND", disagree, s.raiseKept(s.to))
	return b.String()
}

// probe finds a row of the target that the transaction's snapshot is too old for: PostgreSQL raises 40001 for it where it would conflict. Nothing is kept of the try. It is
// for the values that the row had, OLD, which the target has taken before, or would have.
func (s *split) probe(indent string) string {
	lines := []string{
		"IF pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') AND " + s.filled("OLD") + " THEN",
		"  BEGIN",
		fmt.Sprintf("    INSERT INTO %s (%s, %s) VALUES (%s, %s) ON CONFLICT (%s) DO NOTHING;", s.to, targets(s.key, ""), targets(s.moved, ""), sources(s.key, "OLD"), sources(s.moved, "OLD"), targets(s.key, "")),
		"    RAISE EXCEPTION USING ERRCODE = 'SG001';",
		"  EXCEPTION WHEN SQLSTATE 'SG001' OR integrity_constraint_violation THEN",
		"    NULL; -- there is none",
		"  END;",
		"END IF;",
	}
	return indent + strings.Join(lines, "\n"+indent) + "\n"
}

// raiseKept says that a trigger or rule of the other table's own has kept the guard from writing.
func (s *split) raiseKept(table string) string {
	return fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = %s, HINT = %s;",
		quoteLiteral(fmt.Sprintf("the row could not be brought to %s: a trigger or a rule there kept it from being written", table)),
		quoteLiteral(fmt.Sprintf("Migration %s keeps %s and %s in agreement: let triggers there change no column that moves, and suppress no row.", s.migration, s.table, s.to)))
}

// targetBody is the function of the target's triggers.
func (s *split) targetBody() string {
	var b strings.Builder
	b.WriteString("BEGIN\n")
	fmt.Fprintf(&b, "  IF TG_OP = 'UPDATE' AND pg_catalog.pg_trigger_depth() > 1 THEN\n    IF pg_catalog.current_setting(%s, true) = %s THEN\n      RETURN NULL; -- the source's row has moved, and this one with it\n    END IF;\n  END IF;\n",
		s.movingSetting(), keyImage(s.key, targetOf("OLD"), targetOf("NEW")))
	fmt.Fprintf(&b, "  IF TG_OP <> 'INSERT' THEN\n    IF TG_OP = 'DELETE' THEN\n      PERFORM %s(%s);\n      RETURN NULL;\n    END IF;\n    IF %s THEN\n      PERFORM %[1]s(%[2]s);\n    END IF;\n  END IF;\n",
		s.function("pull"), targets(s.key, "OLD"), s.keyDiffers(targetOf))
	fmt.Fprintf(&b, "  PERFORM %s(%s);\n  RETURN NULL;\nEND", s.function("pull"), targets(s.key, "NEW"))
	return b.String()
}

// parameters are the key's values as a function's parameters.
func (s *split) parameters() string {
	return each(s.key, ", ", func(c splitColumn) string { return c.typ })
}

func (s *split) parameter(c splitColumn) string {
	for i, k := range s.key {
		if k.from == c.from {
			return fmt.Sprintf("$%d", i+1)
		}
	}
	return "NULL"
}

func (s *split) keyText(row func(splitColumn) string) string {
	return "pg_catalog.concat_ws(', ', " + each(s.key, ", ", row) + ")"
}

// pullBody is the function that brings the source's row of a key to what the target has of it.
func (s *split) pullBody(required bool) string {
	at := keyed(s.key, sourceOf("s"), s.parameter)
	var b strings.Builder
	b.WriteString("DECLARE\n  source_there boolean;\n  target_there boolean;\n  target_empty boolean;\n  agree boolean;\nBEGIN\n  FOR attempt IN 1 .. 2 LOOP\n")
	fmt.Fprintf(&b, "    SELECT %s IS NOT NULL, %s IS NOT NULL, %s, NOT (%s) INTO source_there, target_there, target_empty, agree\n      FROM (SELECT) AS one LEFT JOIN %s AS s ON %s LEFT JOIN %s AS t ON %s;\n",
		s.key[0].source("s"), s.key[0].targ("t"), s.empty("t"), s.disagree("s"), s.table, at, s.to, keyed(s.key, targetOf("t"), s.parameter))
	fmt.Fprintf(&b, "    IF NOT source_there AND target_there THEN\n      RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = %s, DETAIL = pg_catalog.format('Key (%%s)=(%%s) is not present in %%s.', %s, %s, %s),\n        HINT = %s, SCHEMA = %s, TABLE = %s;\n    END IF;\n",
		quoteLiteral(fmt.Sprintf("a row of %s needs one of %s", s.to, s.table)), quoteLiteral(each(s.key, ", ", func(c splitColumn) string { return c.to })), s.keyText(s.parameter), quoteLiteral(s.table),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, its values are kept in %s, too.", s.migration, s.table)), quoteLiteral(s.schemaOf()), quoteLiteral(s.nameOf()))
	fmt.Fprintf(&b, "    IF target_there AND target_empty THEN\n      RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = %s,\n        HINT = %s, SCHEMA = %s, TABLE = %s;\n    END IF;\n",
		quoteLiteral(fmt.Sprintf("a row of %s whose %s are all NULL has no form in %s", s.to, targets(s.moved, ""), s.table)),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, old code could not tell it from no row: delete the row, or let it have a value; from complete on it is taken.", s.migration)), quoteLiteral(s.schemaOf()), quoteLiteral(s.nameOf()))
	b.WriteString("    IF NOT source_there OR agree THEN\n      RETURN;\n    END IF;\n    EXIT WHEN attempt = 2;\n")
	if required {
		fmt.Fprintf(&b, "    IF NOT target_there THEN\n      PERFORM pg_catalog.set_config(%s, 'on', true);\n    END IF;\n", s.absentSetting())
	}
	set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.from) + " = " + c.targ("t") })
	fmt.Fprintf(&b, "    UPDATE %s AS s SET %s FROM (SELECT) AS one LEFT JOIN %s AS t ON %s WHERE %s;\n", s.table, set, s.to, keyed(s.key, targetOf("t"), s.parameter), at)
	fmt.Fprintf(&b, "  END LOOP;\n  %s\nEND", s.raiseKept(s.table))
	return b.String()
}

func (s *split) schemaOf() string { return sqlName(s.to).Schema }
func (s *split) nameOf() string   { return sqlName(s.to).Name }

// intoBody locks the source's row before a row comes into the target: the order of locks is source, target.
func (s *split) intoBody() string {
	return fmt.Sprintf("BEGIN\n  IF pg_catalog.current_setting(%s, true) IS DISTINCT FROM 'on' THEN\n    PERFORM FROM %s AS s WHERE %s FOR NO KEY UPDATE;\n  END IF;\n  RETURN NEW;\nEND",
		s.lockedSetting(), s.table, keyed(s.key, sourceOf("s"), targetOf("NEW")))
}

// cutBody brings one table to what TRUNCATE has made of the other.
func (s *split) cutBody(required bool) string {
	mark := ""
	if required {
		mark = fmt.Sprintf("    PERFORM pg_catalog.set_config(%s, 'on', true);\n", s.absentSetting())
	}
	nulls := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.from) + " = NULL" })
	return fmt.Sprintf("BEGIN\n  IF TG_ARGV[0] = 'source' THEN\n    IF EXISTS (SELECT FROM %[1]s) THEN\n      TRUNCATE %[1]s;\n    END IF;\n  ELSIF EXISTS (SELECT FROM %[2]s AS s WHERE %[3]s) THEN\n%[4]s    UPDATE %[2]s AS s SET %[5]s WHERE %[3]s;\n  END IF;\n  RETURN NULL;\nEND",
		s.to, s.table, s.filled("s"), mark, nulls)
}

// aloneBody raises where the target has a row of the key: what the foreign key would, or a refusal.
func (s *split) aloneBody() string {
	source := sqlName(s.table)
	raise := fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = %s, HINT = %s, SCHEMA = %s, TABLE = %s;",
		quoteLiteral(fmt.Sprintf("the row of %s has one in %s, which would be left without it", s.table, s.to)),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, old code could not tell such a row from none: delete the one in %s first; from complete on it is left.", s.migration, s.to)), quoteLiteral(s.schemaOf()), quoteLiteral(s.nameOf()))
	if f := s.target.Foreign; f != nil {
		raise = fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = %s, DETAIL = pg_catalog.format('Key (%%s)=(%%s) is still referenced from table \"%%s\".', %s, %s, %s),\n      SCHEMA = %s, TABLE = %[4]s, CONSTRAINT = %[6]s;",
			quoteLiteral(fmt.Sprintf("update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"", source.Name, f.Name, s.nameOf())),
			quoteLiteral(each(s.key, ", ", func(c splitColumn) string { return c.from })), s.keyText(s.parameter), quoteLiteral(s.nameOf()), quoteLiteral(s.schemaOf()), quoteLiteral(f.Name))
	}
	return fmt.Sprintf("BEGIN\n  IF EXISTS (SELECT FROM %s AS t WHERE %s) THEN\n    %s\n  END IF;\n  RETURN true;\nEND", s.to, keyed(s.key, targetOf("t"), s.parameter), raise)
}

func (s *split) lockBody() string {
	return fmt.Sprintf("BEGIN\n  PERFORM FROM %s AS s WHERE %s FOR NO KEY UPDATE;\n  RETURN true;\nEND", s.table, keyed(s.key, sourceOf("s"), s.parameter))
}

// nullBody raises what the source's NOT NULL did, at once, unless the values are said to be still to come.
func (s *split) nullBody(required []splitColumn) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BEGIN\n  IF pg_catalog.current_setting(%s, true) IS DISTINCT FROM 'on' THEN\n", s.absentSetting())
	for _, c := range required {
		fmt.Fprintf(&b, "    IF pg_catalog.num_nulls(%s) = 1 THEN\n      %s\n    END IF;\n", c.source("NEW"), s.raiseNull(c))
	}
	b.WriteString("  END IF;\n  RETURN NEW;\nEND")
	return b.String()
}

// givenBody raises the same at the transaction's end, of what the row is then.
func (s *split) givenBody(required []splitColumn) string {
	var b strings.Builder
	b.WriteString("DECLARE\n")
	for i := range required {
		fmt.Fprintf(&b, "  null_%d boolean;\n", i)
	}
	var out []string
	for i := range required {
		out = append(out, fmt.Sprintf("null_%d", i))
	}
	fmt.Fprintf(&b, "BEGIN\n  SELECT %s INTO %s FROM %s AS s WHERE %s;\n", each(required, ", ", func(c splitColumn) string { return "pg_catalog.num_nulls(" + c.source("s") + ") = 1" }),
		strings.Join(out, ", "), s.table, keyed(s.key, sourceOf("s"), sourceOf("NEW")))
	for i, c := range required {
		fmt.Fprintf(&b, "  IF null_%d THEN\n    %s\n  END IF;\n", i, s.raiseNull(c))
	}
	b.WriteString("  RETURN NULL;\nEND")
	return b.String()
}

func (s *split) raiseNull(c splitColumn) string {
	source := sqlName(s.table)
	return fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'not_null_violation', MESSAGE = %s, SCHEMA = %s, TABLE = %s, COLUMN = %s;",
		quoteLiteral(fmt.Sprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.from, source.Name)), quoteLiteral(source.Schema), quoteLiteral(source.Name), quoteLiteral(c.from))
}

// sqlName reads a name that catalog.QuoteQualified wrote.
func sqlName(s string) (t lens.TableName) {
	_ = t.UnmarshalText([]byte(s))
	return t
}

// pinned are the settings of the guard's functions: with row_security off, a policy gives an error instead of hiding a row.
const pinned = " LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog SET row_security = off "

// functionsSQL creates or replaces the guard's functions.
func (s *split) functionsSQL(required []splitColumn) []string {
	var sqls []string
	add := func(name, params, returns, more, body string) {
		sqls = append(sqls, "CREATE OR REPLACE FUNCTION "+name+"("+params+") RETURNS "+returns+pinned+more+"AS "+dollars(body),
			"GRANT EXECUTE ON FUNCTION "+name+"("+params+") TO PUBLIC")
	}
	const last = "COST 100000 " // behind all other conditions, and not so dear that a handful of rows would be compiled
	add(s.function("pull"), s.parameters(), "void", "", s.pullBody(len(required) > 0))
	add(s.function("source"), "", "trigger", "", s.sourceBody())
	add(s.function("target"), "", "trigger", "", s.targetBody())
	add(s.function("into"), "", "trigger", "", s.intoBody())
	add(s.function("cut"), "", "trigger", "", s.cutBody(len(required) > 0))
	add(lens.LockFunction(s.migration), s.parameters(), "boolean", last, s.lockBody())
	add(lens.AloneFunction(s.migration), s.parameters(), "boolean", last, s.aloneBody())
	add(lens.AbsentFunction(s.migration), "", "boolean", "", "BEGIN\n  PERFORM pg_catalog.set_config("+s.absentSetting()+", 'on', true);\n  RETURN true;\nEND")
	return sqls
}

// splitTrigger is one of the guard's triggers.
type splitTrigger struct {
	name, table, sql string // sql is what comes between the name and EXECUTE
	function, args   string
	constraint       bool
}

func (s *split) triggers() []splitTrigger {
	sourceMoved := each(s.moved, " OR ", func(c splitColumn) string { return c.differs(c.source("NEW"), c.source("OLD")) })
	targetMoved := each(s.moved, " OR ", func(c splitColumn) string { return c.differs(c.targ("NEW"), c.targ("OLD")) })
	sourceKey, targetKey := s.keyDiffers(sourceOf), s.keyDiffers(targetOf)
	guard, to := s.function("source"), s.function("target")
	row := func(event, table, when string) string {
		if when != "" {
			when = " WHEN (" + when + ")"
		}
		return event + " ON " + table + " FOR EACH ROW" + when
	}
	return []splitTrigger{
		{name: s.early("delete"), table: s.table, sql: row("AFTER DELETE", s.table, s.filled("OLD")), function: guard},
		{name: s.early("key"), table: s.table, sql: row("AFTER UPDATE", s.table, sourceKey), function: guard},
		{name: s.late("insert"), table: s.table, sql: row("AFTER INSERT", s.table, s.filled("NEW")), function: guard},
		{name: s.late("update"), table: s.table, sql: row("AFTER UPDATE", s.table, "("+sourceMoved+") AND NOT ("+sourceKey+")"), function: guard},
		{name: s.late("truncate"), table: s.table, sql: "AFTER TRUNCATE ON " + s.table, function: s.function("cut"), args: "'source'"},
		{name: s.late("into"), table: s.to, sql: row("BEFORE INSERT", s.to, ""), function: s.function("into")},
		{name: s.late("change"), table: s.to, sql: row("AFTER INSERT OR DELETE", s.to, ""), function: to},
		{name: s.late("update"), table: s.to, sql: row("AFTER UPDATE", s.to, targetMoved+" OR "+targetKey), function: to},
		{name: s.late("truncate"), table: s.to, sql: "AFTER TRUNCATE ON " + s.to, function: s.function("cut")},
	}
}

// nullTriggers take the place of the source's NOT NULL while new code may insert there first.
func (s *split) nullTriggers(required []splitColumn) []splitTrigger {
	when := " FOR EACH ROW WHEN (pg_catalog.num_nulls(" + sources(required, "NEW") + ") > 0)"
	return []splitTrigger{
		{name: s.late("null"), table: s.table, sql: "BEFORE INSERT OR UPDATE ON " + s.table + when, function: s.function("null")},
		{name: s.late("given"), table: s.table, sql: "AFTER INSERT OR UPDATE ON " + s.table + " DEFERRABLE INITIALLY DEFERRED" + when, function: s.function("given"), constraint: true},
	}
}

// create makes a trigger, anew where there is one.
func (t splitTrigger) create() []string {
	kind := "TRIGGER "
	if t.constraint {
		kind = "CONSTRAINT TRIGGER "
	}
	return []string{
		"DROP TRIGGER IF EXISTS " + t.name + " ON " + t.table,
		"CREATE " + kind + t.name + " " + t.sql + " EXECUTE FUNCTION " + t.function + "(" + t.args + ")",
		"ALTER TABLE " + t.table + " ENABLE ALWAYS TRIGGER " + t.name, // logical replication applies as a replica
	}
}

// makeSplitGuard makes the guard, anew where there is one, and records it with the target in the migration's row.
func makeSplitGuard(ctx context.Context, tx pgx.Tx, m *migration, s *split) error {
	required := s.required(m)
	sqls := s.functionsSQL(required)
	for _, t := range s.triggers() {
		sqls = append(sqls, t.create()...)
	}
	if m.Relaxed != nil && len(required) > 0 {
		sqls = append(sqls, s.nullsSQL(required)...)
		if m.Stand.Step == lens.WriteNew { // new code names the columns no more
			sqls = append(sqls, "DROP TRIGGER IF EXISTS "+s.late("null")+" ON "+s.table)
		}
	}
	if err := execAll(ctx, tx, sqls); err != nil {
		return fmt.Errorf("making the guard: %w", err)
	}
	return recordSplitGuard(ctx, tx, m, s)
}

// makeGuardAnew makes the guard of any migration anew.
func (w *work) makeGuardAnew(ctx context.Context, tx pgx.Tx) error {
	if !w.m.splitting() {
		return makeGuard(ctx, tx, w.m)
	}
	s, err := readSplit(ctx, tx, w.m)
	if err != nil {
		return err
	}
	if stands, err := s.stands(ctx, tx); err != nil {
		return err
	} else if !stands {
		return errNoTarget(w.m)
	}
	return makeSplitGuard(ctx, tx, w.m, s)
}

// nullsSQL makes what stands in for the source's NOT NULL.
func (s *split) nullsSQL(required []splitColumn) []string {
	var sqls []string
	for name, body := range map[string]string{"null": s.nullBody(required), "given": s.givenBody(required)} {
		sqls = append(sqls, "CREATE OR REPLACE FUNCTION "+s.function(name)+"() RETURNS trigger"+pinned+"AS "+dollars(body), "GRANT EXECUTE ON FUNCTION "+s.function(name)+"() TO PUBLIC")
	}
	for _, t := range s.nullTriggers(required) {
		sqls = append(sqls, t.create()...)
	}
	return sqls
}

// dropNulls takes it away again.
func (s *split) dropNulls() []string {
	return []string{
		"DROP TRIGGER IF EXISTS " + s.late("null") + " ON " + s.table, "DROP TRIGGER IF EXISTS " + s.late("given") + " ON " + s.table,
		"DROP FUNCTION IF EXISTS " + s.function("null") + "()", "DROP FUNCTION IF EXISTS " + s.function("given") + "()",
	}
}

// recordSplitGuard writes down the guard as it is now.
func recordSplitGuard(ctx context.Context, tx pgx.Tx, m *migration, s *split) error {
	g, err := readSplitGuard(ctx, tx, m, s)
	if err != nil {
		return err
	}
	if g == nil {
		return errors.New("recording the guard: it is gone")
	}
	g.Target = s.target
	if _, err := tx.Exec(ctx, "UPDATE segue.migration SET guard = $2 WHERE name = $1", m.Name, g); err != nil {
		return fmt.Errorf("recording the guard: %w", err)
	}
	return nil
}

// readSplitGuard reads the guard as it is now, on both tables; nil where nothing of it stands. Enabled is A where all of it is.
func readSplitGuard(ctx context.Context, q queryer, m *migration, s *split) (*guardRecord, error) {
	g := &guardRecord{}
	var n int
	if err := q.QueryRow(ctx, `
		SELECT count(*), COALESCE(CASE WHEN bool_and(t.tgenabled = 'A') THEN 'A' ELSE min(t.tgenabled::text) END, ''),
		       COALESCE(md5(string_agg(t.tgname || pg_get_triggerdef(t.oid) || f.source, ' ' ORDER BY t.tgrelid, t.tgname)), ''),
		       COALESCE(md5(string_agg(concat_ws('/', t.oid, t.xmin, t.tgfoid, f.mark), ' ' ORDER BY t.tgrelid, t.tgname)), '')
		FROM pg_trigger t CROSS JOIN LATERAL (SELECT pg_get_functiondef(p.oid) AS source, p.xmin::text AS mark FROM pg_proc p WHERE p.oid = t.tgfoid) f
		WHERE t.tgrelid IN ($1, $2) AND NOT t.tgisinternal AND substr(left(t.tgname, $4 + 1), 2) = $3`,
		m.Table, s.target.OID, guardTrigger(m.Name)[1:]+":", len(guardTrigger(m.Name))).Scan(&n, &g.Enabled, &g.Source, &g.Mark); err != nil {
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	var mark string
	if err := q.QueryRow(ctx, "SELECT COALESCE(md5(string_agg(concat(p.oid, pg_get_functiondef(p.oid), p.xmin), ' ' ORDER BY p.oid)), '') FROM pg_proc p WHERE p.pronamespace = 'segue'::regnamespace AND p.proname = $1", "guard_"+m.Name+":pull").Scan(&mark); err != nil {
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	g.Mark += mark
	return g, nil
}

// splitGuardStands says whether the guard is the one that was made and has been in force ever since.
func splitGuardStands(ctx context.Context, q queryer, m *migration) (bool, error) {
	if m.Guard == nil || m.Guard.Target == nil {
		return false, nil
	}
	s, err := readSplit(ctx, q, m)
	if err != nil {
		return false, err
	}
	g, err := readSplitGuard(ctx, q, m, s)
	if err != nil || g == nil {
		return false, err
	}
	return g.Enabled == "A" && m.Guard.Enabled == "A" && g.Source == m.Guard.Source && g.Mark == m.Guard.Mark, nil
}

// dropSplitGuard drops the triggers and functions of both tables. What somebody else has dropped already is no error.
func dropSplitGuard(ctx context.Context, tx pgx.Tx, m *migration) error {
	functions, err := collect(ctx, tx, `SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'segue'::regnamespace
		AND (left(p.proname, length($1)) = $1 OR p.proname = ANY ($2)) ORDER BY 1`, pgx.RowTo[string], "guard_"+m.Name+":", []string{"lock_" + m.Name, "alone_" + m.Name, "absent_" + m.Name})
	if err != nil {
		return fmt.Errorf("looking for the guard: %w", err)
	}
	triggers, err := collect(ctx, tx, `SELECT 'DROP TRIGGER ' || quote_ident(t.tgname) || ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid
		WHERE NOT t.tgisinternal AND p.oid::regprocedure::text = ANY ($1) ORDER BY c.oid = $2 DESC, t.tgname`, pgx.RowTo[string], functions, m.Table)
	if err != nil {
		return fmt.Errorf("looking for the guard: %w", err)
	}
	for _, f := range functions {
		triggers = append(triggers, "DROP FUNCTION "+f)
	}
	if err := execAll(ctx, tx, triggers); err != nil {
		return fmt.Errorf("dropping the guard: %w", err)
	}
	return nil
}
