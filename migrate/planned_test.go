package migrate

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// strength orders PostgreSQL's table locks.
var strength = []string{"", accessShare, "ROW SHARE", rowExclusive, shareUpdateExclusive, share, shareRowExclusive, "EXCLUSIVE", accessExclusive}

// TestPlannedLocks carries out what check says that a migration would run, statement by statement, and holds the locks that the server takes against those that were told.
func TestPlannedLocks(t *testing.T) {
	const kinds = "CREATE TABLE kinds (kind varchar(10) PRIMARY KEY); INSERT INTO kinds VALUES ('a'), ('b');"
	for _, c := range []struct {
		name, setup string
		def         lens.Definition
		least       int // steps
	}{
		{
			"rename", kinds + `CREATE TABLE users (id int PRIMARY KEY, name varchar(10) NOT NULL DEFAULT 'a' UNIQUE REFERENCES kinds, CHECK (name <> ''), other text);
			CREATE UNIQUE INDEX bare ON users (name DESC); CREATE INDEX plain ON users (lower(name)) WHERE name <> 'x'; CREATE STATISTICS st ON name, other FROM users;
			ALTER TABLE users ALTER name SET STATISTICS 7; INSERT INTO users VALUES (1, 'a'), (2, 'b');`,
			lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}},
			25,
		},
		{
			"change", `CREATE TABLE users (id int PRIMARY KEY, price text NOT NULL DEFAULT '1' UNIQUE CHECK (length(price) < 9)); INSERT INTO users VALUES (1, '1'), (2, '2');`,
			lens.Definition{LookupIndexes: true, ChangeType: &lens.ChangeType{
				Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::text", NotNull: true, Check: "price_v2 > 0", AppName: "price",
			}},
			20,
		},
		{
			"partitions", `CREATE TABLE users (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF users FOR VALUES FROM (0) TO (100);
			CREATE TABLE p2 PARTITION OF users FOR VALUES FROM (100) TO (200); CREATE INDEX by_name ON users (name); INSERT INTO users VALUES (1, 'a'), (101, 'b');`,
			lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}},
			14,
		},
		{
			"coming", `CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users VALUES (1, 'A');`,
			lens.Definition{Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "low", Type: "text", Up: "lower(email)", Default: "'x'"}}}},
			7,
		},
		{
			"going", `CREATE TABLE users (id int PRIMARY KEY, email text DEFAULT 'x', CHECK (email <> '')); INSERT INTO users VALUES (1, 'A');`,
			lens.Definition{Columns: &lens.Columns{Drop: []string{"email"}}},
			2,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, c.setup)
			p := e.proxy(0)
			c.def.Name, c.def.Table = "m", lens.TableName{Schema: "public", Name: "users"}
			answer, err := p.Check(context.Background(), &c.def)
			if err != nil {
				t.Fatal(err)
			}
			var r CheckReport
			if err := json.Unmarshal(answer, &r); err != nil {
				t.Fatal(err)
			}
			if !r.Ready || len(r.Steps) < c.least {
				t.Fatalf("%q, %d steps", r.Problems, len(r.Steps))
			}
			e.exec("CREATE FUNCTION segue.guard_m() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
			conn := pgtest.Connect(t, pgtest.Shared().DSN(e.db))
			for _, s := range r.Steps {
				if s.Rewrites {
					t.Errorf("%s rewrites the table", s.SQL)
				}
				sql := s.SQL
				if regexp.MustCompile(`^SELECT `).MatchString(sql) {
					continue // where it stands, a part is gone already
				}
				if strings.Contains(sql, " CONCURRENTLY ") {
					pgtest.Exec(t, conn, sql)
					continue
				}
				var oid uint32
				if err := conn.QueryRow(context.Background(), "SELECT $1::regclass::oid", s.On).Scan(&oid); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
				pgtest.Exec(t, conn, "BEGIN", sql)
				var modes []string
				if err := conn.QueryRow(context.Background(), "SELECT array_agg(mode) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = $1 AND granted", oid).Scan(&modes); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
				got := ""
				for _, m := range modes {
					m = strings.ToUpper(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(strings.TrimSuffix(m, "Lock"), "$1 $2"))
					if slices.Index(strength, m) > slices.Index(strength, got) {
						got = m
					}
				}
				if got != s.Lock {
					t.Errorf("%s\ntakes %s on %s, and %s was told", sql, got, s.On, s.Lock)
				}
				pgtest.Exec(t, conn, "COMMIT")
			}
			want := e.value("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped")
			for _, name := range (&migration{Definition: &c.def}).oldNames() {
				if slices.Contains(strings.Fields(want), name) && c.name != "change" {
					t.Errorf("%s is left: %s", name, want)
				}
			}
		})
	}
}
