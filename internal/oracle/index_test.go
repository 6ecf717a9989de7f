package oracle

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/rewrite"
	"segue/rewrite/lens"
)

// indexShapes are statements for which PostgreSQL uses an index on {c} of a table of 50,000 rows.
var indexShapes = []struct {
	sql      string
	unproved bool // also while reads are coalesced
}{
	{"SELECT id FROM users WHERE {c} = 'user 77'", true},
	{"SELECT * FROM users u WHERE u.{c} = 'user 77' AND u.age > 3", true},
	{"SELECT id FROM users WHERE {c} IN ('user 77', 'user 78')", true},
	{"SELECT id FROM users WHERE {c} > 'user 777' AND {c} < 'user 7775'", false},
	{"SELECT id FROM users WHERE {c} LIKE 'user 77%'", true},
	{"SELECT {c} FROM users ORDER BY {c} LIMIT 10", false},
	{"SELECT id FROM users ORDER BY {c} DESC LIMIT 10", false},
	{"SELECT max({c}) FROM users", false},
	{"SELECT o.id FROM orders o JOIN users u ON u.{c} = o.label WHERE o.id = 3", false},
	{"SELECT id FROM orders o WHERE o.id = 3 AND EXISTS (SELECT 1 FROM users u WHERE u.{c} = o.label)", false},
	{"UPDATE users SET age = 1 WHERE {c} = 'user 77'", true},
	{"DELETE FROM users WHERE {c} = 'user 77'", true},
	{"SELECT id FROM users WHERE lower({c}) = 'user 77'", false},
	{"WITH w AS (SELECT * FROM users WHERE {c} = 'user 77') SELECT count(*) FROM w", true},
}

const indexTables = `
CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40), age int);
CREATE TABLE orders (id int PRIMARY KEY, label varchar(40));
INSERT INTO users SELECT i, 'user ' || i, i % 90 FROM generate_series(1, 50000) i;
INSERT INTO orders SELECT i, 'user ' || i FROM generate_series(1, 1000) i;
CREATE INDEX ON users (name);
CREATE INDEX ON users (name varchar_pattern_ops);
CREATE INDEX ON users (lower(name));
`

// Once the mirrored indexes stand, no rewriting makes PostgreSQL lose an index that the statement itself can use.
func TestPlansKeepTheirIndexes(t *testing.T) {
	ctx := context.Background()
	original := pgtest.Database(t)
	both := pgtest.Database(t)
	complete := pgtest.Database(t)
	for _, db := range []string{original, both, complete} {
		pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(db)), indexTables)
	}
	mirrors := `
ALTER TABLE users ADD COLUMN full_name varchar(40);
UPDATE users SET full_name = name;
CREATE INDEX ON users (full_name);
CREATE INDEX ON users (full_name varchar_pattern_ops);
CREATE INDEX ON users (lower(full_name));
`
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(both)), mirrors)
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(complete)), mirrors, "ALTER TABLE users DROP COLUMN name")
	conns := map[string]*pgx.Conn{}
	for _, db := range []string{original, both, complete} {
		conns[db] = pgtest.Connect(t, pgtest.Shared().DSN(db))
		pgtest.Exec(t, conns[db], "VACUUM ANALYZE users", "VACUUM ANALYZE orders")
	}
	for _, s := range []lens.Stage{
		{Phase: lens.DualWrite},
		{Phase: lens.Backfilling, Proved: true},
		{Phase: lens.SwitchReads},
		{Phase: lens.SwitchReads, Proved: true},
		{Phase: lens.Contract, Proved: true},
		{Phase: lens.Complete, Proved: true},
	} {
		db := both
		if s.Phase == lens.Complete {
			db = complete
		}
		cat, err := migrate.ReadCatalog(ctx, pgtest.Shared().DSN(db))
		if err != nil {
			t.Fatal(err)
		}
		st, err := rewrite.NewState(1, cat, []rewrite.Migration{{
			Definition: &lens.Definition{
				Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
				RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
			},
			Stage: s, OldNums: map[string]int16{"name": 2}, Seq: 1,
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, shape := range indexShapes {
			if !scansNothing(t, conns[original], strings.ReplaceAll(shape.sql, "{c}", "name"), "users") {
				t.Fatalf("%s uses no index by itself", shape.sql)
			}
			if s.Phase == lens.SwitchReads && !s.Proved && !shape.unproved {
				continue
			}
			for v, c := range map[lens.Version]string{lens.Old: "name", lens.New: "full_name"} {
				p := st.Plan(strings.ReplaceAll(shape.sql, "{c}", c), rewrite.Settings{Version: v, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"})
				if p.Kind == rewrite.Refuse {
					t.Errorf("%s, %s: %s is refused: %s", s, v, shape.sql, p.Refusal.Message)
					continue
				}
				if !scansNothing(t, conns[db], p.SQL, "users") {
					t.Errorf("%s, %s: %s scans the table", s, v, p.SQL)
				}
			}
		}
	}
}
