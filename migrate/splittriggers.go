package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/lens"
)

// inPlpgsql is what the guard's functions have in common.
const inPlpgsql = " LANGUAGE plpgsql VOLATILE "

// functionsSQL creates or replaces the guard's functions.
func (s *split) functionsSQL(required []splitColumn) []string {
	var sqls []string
	add := func(name, params, returns, more, body string) {
		sqls = append(sqls, "CREATE OR REPLACE FUNCTION "+name+"("+params+") RETURNS "+returns+inPlpgsql+more+"AS "+dollars(body),
			"GRANT EXECUTE ON FUNCTION "+name+"("+params+") TO PUBLIC")
	}
	// Behind usual conditions, and not so dear that a plan scans a table rather than locks twice, or is compiled. What must be asked of no other row is dearer.
	const late, last = "COST 1000 ", "COST 100000 "
	add(s.function("source"), "", "trigger", "", s.sourceBody())
	add(s.function("target"), "", "trigger", "", s.targetBody(len(required) > 0))
	add(s.function("into"), "", "trigger", "", s.intoBody())
	add(s.function("cut"), "", "trigger", "", s.cutBody(len(required) > 0))
	add(lens.LockFunction(s.migration), s.parameters(), "boolean", late, s.lockBody())
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

// triggers lists them. The server reads WHEN from its text form in every statement, so it is kept small.
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
		{name: s.early("key"), table: s.table, sql: row("AFTER UPDATE", s.table, sourceKey), function: guard, args: "'key'"},
		{name: s.late("delete"), table: s.table, sql: row("AFTER DELETE", s.table, s.filled("OLD")), function: guard, args: "'again'"},
		{name: s.late("insert"), table: s.table, sql: row("AFTER INSERT", s.table, s.filled("NEW")), function: guard},
		{name: s.late("update"), table: s.table, sql: row("AFTER UPDATE", s.table, sourceMoved), function: guard},
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
		sqls = append(sqls, "CREATE OR REPLACE FUNCTION "+s.function(name)+"() RETURNS trigger"+inPlpgsql+"AS "+dollars(body), "GRANT EXECUTE ON FUNCTION "+s.function(name)+"() TO PUBLIC")
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
