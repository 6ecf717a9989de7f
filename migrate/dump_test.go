package migrate

import (
	"bytes"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"segue/internal/pgtest"
)

// dump describes the schema, without Segue's own: as pg_dump does, where there is one that knows the server's version, else by our own query.
func (e *env) dump() string {
	e.t.Helper()
	path, err := pgtest.FindProgram("pg_dump")
	if err != nil {
		e.t.Fatal(err)
	}
	server, err := strconv.Atoi(e.value("current_setting('server_version_num')"))
	if err != nil {
		e.t.Fatal(err)
	}
	if programVersion(e.t, path) < server/10000 {
		return e.value(describeSQL)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(path, "-s", "-N", "segue", pgtest.Shared().DSN(e.db))
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		e.t.Fatalf("%v: %s", err, errs.String())
	}
	var kept []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) { // a random word
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

var majorVersion = regexp.MustCompile(`\d+`)

// programVersion gives the major version of one of PostgreSQL's programs.
func programVersion(t *testing.T, path string) int {
	t.Helper()
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Fatalf("%s --version: %v", path, err)
	}
	n, err := strconv.Atoi(majorVersion.FindString(string(out)))
	if err != nil {
		t.Fatalf("%s --version says %q", path, out)
	}
	return n
}

// describeSQL gives the schema as one text, a line for each thing in it.
const describeSQL = `
WITH space AS (SELECT oid, nspname, nspacl FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'segue')),
rel AS (SELECT c.*, s.nspname || '.' || c.relname AS name FROM pg_class c JOIN space s ON s.oid = c.relnamespace)
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
	SELECT concat_ws(' ', 'schema', nspname, nspacl) AS line FROM space
	UNION ALL SELECT concat_ws(' ', 'relation', name, relkind, relpersistence, relowner::regrole, relacl, reloptions, relrowsecurity, relforcerowsecurity, relreplident,
		relispartition, reloftype, pg_get_expr(relpartbound, oid), obj_description(oid, 'pg_class')) FROM rel
	UNION ALL SELECT concat_ws(' ', 'column', name, row_number() OVER (PARTITION BY rel.oid ORDER BY attnum), attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
		attgenerated, pg_get_expr(adbin, adrelid), attcollation::regcollation, attstorage, attstattarget, attacl, attoptions, col_description(rel.oid, attnum))
		FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef d ON adrelid = rel.oid AND adnum = attnum WHERE relkind <> 'i'
	UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident) FROM pg_index JOIN rel ON rel.oid = indexrelid
	UNION ALL SELECT concat_ws(' ', name, 'CONSTRAINT', conname, pg_get_constraintdef(c.oid), convalidated, obj_description(c.oid, 'pg_constraint')) FROM pg_constraint c JOIN rel ON rel.oid = conrelid
	UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN rel ON rel.oid = tgrelid WHERE NOT tgisinternal
	UNION ALL SELECT concat_ws(' ', 'policy', name, polname, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy JOIN rel ON rel.oid = polrelid
	UNION ALL SELECT concat_ws(' ', 'rule', pg_get_ruledef(r.oid)) FROM pg_rewrite r JOIN rel ON rel.oid = ev_class
	UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(x.oid)) FROM pg_statistic_ext x JOIN rel ON rel.oid = stxrelid
	UNION ALL SELECT concat_ws(' ', 'sequence', name, seqstart, seqincrement, seqmax, seqmin, d.refobjid::regclass, d.refobjsubid > 0) FROM pg_sequence s JOIN rel ON rel.oid = seqrelid
		LEFT JOIN pg_depend d ON d.objid = seqrelid AND d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass
	UNION ALL SELECT concat_ws(' ', 'inherits', inhrelid::regclass, inhparent::regclass, inhseqno) FROM pg_inherits JOIN rel ON rel.oid = inhrelid WHERE relkind <> 'i'
	UNION ALL SELECT concat_ws(' ', 'function', CASE WHEN prokind = 'a' THEN p.oid::regprocedure::text ELSE pg_get_functiondef(p.oid) END, proacl) FROM pg_proc p JOIN space s ON s.oid = pronamespace
	UNION ALL SELECT concat_ws(' ', 'type', nspname, typname, typtype, typbasetype::regtype, typnotnull, typdefault, typacl) FROM pg_type t JOIN space s ON s.oid = typnamespace
	UNION ALL SELECT concat_ws(' ', 'published', pubname, prrelid::regclass) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = prpubid
) AS all_of_it`

// What describeSQL does not see, the tests that compare with it would not see either.
func TestDescriptionSeesChanges(t *testing.T) {
	e := newEnv(t, usersTable)
	before := e.value(describeSQL)
	for _, change := range []string{
		"ALTER TABLE users ADD COLUMN x int", "ALTER TABLE users ALTER name SET DEFAULT 'x'", "ALTER TABLE users ALTER name DROP NOT NULL", "ALTER TABLE users ALTER name TYPE text",
		"ALTER TABLE users RENAME name TO label", "ALTER TABLE users ADD CHECK (name <> '')", "ALTER TABLE users ADD CHECK (name <> '') NOT VALID", "CREATE INDEX ON users (email)",
		"CREATE UNIQUE INDEX ON users (email)", "GRANT SELECT ON users TO web", "GRANT UPDATE (name) ON users TO web", "COMMENT ON COLUMN users.name IS 'x'", "CREATE VIEW v AS SELECT name FROM users",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER TABLE users ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON users USING (true)", "CREATE STATISTICS s ON name, email FROM users", "CREATE TABLE child () INHERITS (users)",
		"CREATE DOMAIN d AS text", "CREATE SCHEMA s", "ALTER TABLE users ALTER name SET STATISTICS 7", "ALTER TABLE users OWNER TO web",
	} {
		e.exec("BEGIN", change)
		if e.value(describeSQL) == before {
			t.Errorf("%s is not seen", change)
		}
		e.exec("ROLLBACK")
	}
	if e.value(describeSQL) != before {
		t.Error("it does not give the same twice")
	}
}
