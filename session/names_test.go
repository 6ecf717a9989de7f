package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/internal/wiretest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// namesSetup has two tables of one name. That in public migrates, and stands where old code's name is read from full_name: so a value tells whether a statement was
// rewritten. The other one's full_name is nobody's business.
const namesSetup = `
CREATE SCHEMA other;
CREATE SCHEMA "role $";
CREATE TABLE users (id int PRIMARY KEY, name text, full_name text);
CREATE TABLE other.users (id int PRIMARY KEY, name text, full_name text);
CREATE TABLE "role $".users (id int PRIMARY KEY, name text, full_name text);
INSERT INTO users VALUES (7, 'not rewritten', 'rewritten');
INSERT INTO other.users VALUES (7, 'other', 'wrong');
INSERT INTO "role $".users VALUES (7, 'role', 'wrong');
CREATE PROCEDURE move() LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'other', false); END $$;
`

// namesState is the state of that database, with its own OIDs.
func namesState(t *testing.T, conn *pgx.Conn) *rewrite.State {
	t.Helper()
	text, number := catalog.Type{OID: 25, Mod: -1, SQL: "text"}, catalog.Type{OID: 23, Mod: -1, SQL: "integer"}
	var relations []*catalog.Relation
	for _, schema := range []string{"public", "other", "role $"} {
		r := &catalog.Relation{Schema: schema, Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
			{Name: "id", Num: 1, Type: number, NotNull: true}, {Name: "name", Num: 2, Type: text}, {Name: "full_name", Num: 3, Type: text},
		}}
		if err := conn.QueryRow(background, "SELECT c.oid FROM pg_class c WHERE relname = 'users' AND relnamespace::regnamespace = quote_ident($1)::regnamespace", schema).Scan(&r.OID); err != nil {
			t.Fatal(err)
		}
		relations = append(relations, r)
	}
	st, err := rewrite.NewState(3, catalog.New(relations, nil, nil), []rewrite.Migration{{
		Definition: &lens.Definition{
			Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
		},
		Stage: lens.Stage{Phase: lens.SwitchReads, Proved: true}, OldNums: map[string]int16{"name": 2}, Seq: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestNamesAsTheServerResolvesThem runs scripts through a session, by the simple and by the extended protocol. A line is a statement, or `statement => outcome`: the first
// value, or an SQLSTATE.
func TestNamesAsTheServerResolvesThem(t *testing.T) {
	const ask, joined = "SELECT name FROM users WHERE id = 7", "SELECT name FROM users JOIN tmp USING (id)"
	scripts := map[string]string{
		"plain":          ask + " => rewritten",
		"quoted":         `SELECT "name" FROM "users" WHERE id = 7 => rewritten`,
		"capitals":       `SELECT NAME FROM USERS WHERE id = 7 => rewritten`,
		"other capitals": `SELECT name FROM "Users" => 42P01`,
		"unicode":        `SELECT name FROM U&"u\0073ers" WHERE id = 7 => rewritten`,
		"unicode schema": `SELECT name FROM u&"p!0075blic" UESCAPE '!'.users WHERE id = 7 => rewritten`,
		"qualified":      "SET search_path = other\nSELECT name FROM public.users WHERE id = 7 => rewritten\nSELECT public.users.name FROM public.users => rewritten",

		"SET":         "SET search_path = other, public\n" + ask + " => other\nSET search_path TO DEFAULT\n" + ask + " => rewritten",
		"SET quoted":  "SET \"search_path\" = other\n" + ask + " => other\nRESET \"search_path\"\n" + ask + " => rewritten",
		"SET comment": "SET /* a */ SESSION -- b\nsearch_path TO 'other'\n" + ask + " => other",
		"SET SCHEMA":  "SET SCHEMA 'other'\n" + ask + " => other",
		"RESET ALL":   "SET search_path = other\nRESET ALL\n" + ask + " => rewritten",
		"DISCARD ALL": "SET search_path = other\nDISCARD ALL\n" + ask + " => rewritten",
		"SET LOCAL":   "BEGIN\nSET LOCAL search_path = other\n" + ask + " => other\nCOMMIT\n" + ask + " => rewritten",
		"ROLLBACK":    "BEGIN\nSET search_path = other\n" + ask + " => other\nROLLBACK\n" + ask + " => rewritten",
		"ABORT":       "BEGIN\nSET search_path = other\n" + ask + " => other\nABORT AND CHAIN\n" + ask + " => rewritten\nCOMMIT",
		"COMMIT":      "BEGIN\nSET search_path = other\nCOMMIT\n" + ask + " => other",
		"failed":      "BEGIN\nSET search_path = other\n" + ask + " => other\nSELECT 1/0 => 22012\n" + ask + " => 25P02\nCOMMIT\n" + ask + " => rewritten",
		"ROLLBACK TO": "BEGIN\nSAVEPOINT a\nSET search_path = other\n" + ask + " => other\nROLLBACK TO a\n" + ask + " => rewritten\nCOMMIT",
		"RELEASE":     "BEGIN\nSAVEPOINT a\nSET search_path = other\nRELEASE a\n" + ask + " => other\nROLLBACK\n" + ask + " => rewritten",
		"set_config":  "SELECT set_config('search_path', 'other', false) => other\n" + ask + " => other",
		"local config": "BEGIN\nSELECT pg_catalog.set_config('search' || '_path', 'other', true) => other\n" + ask +
			" => other\nCOMMIT\n" + ask + " => rewritten",
		"quoted config": "SELECT \"set_config\"('search_path', 'other', false) => other\n" + ask + " => other",
		"CALL":          "CALL move()\n" + ask + " => other",
		"DO":            "DO $$ BEGIN SET search_path = other; END $$\n" + ask + " => other",
		"$user":         "SET search_path = \"$user\", public\n" + ask + " => rewritten\nSET ROLE \"role $\"\n" + ask + " => role\nRESET ROLE\n" + ask + " => rewritten",
		"role in transaction": "SET search_path = \"$user\", public\nBEGIN\nSET LOCAL ROLE \"role $\"\n" + ask + " => role\nROLLBACK\n" + ask +
			" => rewritten\nSET SESSION AUTHORIZATION \"role $\"\n" + ask + " => role\nRESET SESSION AUTHORIZATION\n" + ask + " => rewritten",
		"empty path": "SET search_path = ''\n" + ask + " => 42P01\nSELECT name FROM public.users WHERE id = 7 => rewritten",

		"temporary shadows": "CREATE TEMP TABLE users AS SELECT 7 AS id, 'temporary' AS name\n" + ask + " => temporary\n" +
			"SELECT name FROM public.users WHERE id = 7 => rewritten\nSELECT name FROM pg_temp.users => temporary\nDROP TABLE users\n" + ask + " => rewritten",
		"temporary behind": "SET search_path = public, pg_temp\nCREATE TEMP TABLE users AS SELECT 7 AS id, 'temporary' AS name\n" + ask + " => rewritten\n" +
			"SET search_path = public\n" + ask + " => temporary",
		"SELECT INTO":    "SELECT 7 AS id, 'temporary' AS name INTO TEMP users\n" + ask + " => temporary\nDISCARD TEMP\n" + ask + " => rewritten",
		"ON COMMIT DROP": "BEGIN\nCREATE TEMP TABLE users (id, name) ON COMMIT DROP AS SELECT 7, 'temporary'\n" + ask + " => temporary\nCOMMIT\n" + ask + " => rewritten",
		"temporary undone": "BEGIN\nSAVEPOINT a\nCREATE TEMP TABLE users AS SELECT 7 AS id, 'temporary' AS name\n" + ask + " => temporary\nROLLBACK TO a\n" + ask +
			" => rewritten\nROLLBACK\n" + ask + " => rewritten",
		"moved to it": "CREATE TEMP TABLE tmp AS SELECT 7 AS id, 'temporary' AS name\nALTER TABLE tmp RENAME TO users\n" + ask + " => temporary\nALTER TABLE users RENAME TO tmp\n" + ask +
			" => rewritten",
		"temporary view": "CREATE TEMP VIEW users AS SELECT id, name FROM other.users\n" + ask + " => other\nDROP VIEW users\n" + ask + " => rewritten",

		"joined": "CREATE TEMP TABLE tmp AS SELECT 7 AS id, 'l' AS label\n" + joined + " => rewritten\nSELECT label FROM users JOIN tmp USING (id) WHERE name = 'rewritten' => l",
		"joined, altered": "CREATE TEMP TABLE tmp AS SELECT 7 AS id, 'l' AS label\n" + joined + " => rewritten\nBEGIN\nALTER TABLE tmp ADD name text\n" + joined +
			" => 42702\nROLLBACK\n" + joined + " => rewritten\nALTER TABLE tmp RENAME label TO name\n" + joined + " => 42702",
		"joined, undone": "BEGIN\nCREATE TEMP TABLE tmp AS SELECT 7 AS id, 'l' AS label\n" + joined + " => rewritten\nSAVEPOINT a\nALTER TABLE tmp RENAME label TO name\nSAVEPOINT b\n" + joined +
			" => 42702\nROLLBACK TO a\n" + joined + " => rewritten\nCOMMIT\n" + joined + " => rewritten",
		"joined, dropped": "CREATE TABLE other.tmp AS SELECT 7 AS id, 'o' AS name\nSET search_path = public, other\nCREATE TEMP TABLE tmp AS SELECT 7 AS id, 'l' AS label\n" + joined +
			" => rewritten\nDROP TABLE tmp\n" + joined + " => 0A000", // the catalog has not heard of other.tmp yet
		"joined, on commit": "BEGIN\nCREATE TEMP TABLE tmp ON COMMIT DROP AS SELECT 7 AS id, 'l' AS label\n" + joined + " => rewritten\nCOMMIT\n" + joined + " => 0A000",
		"in one message":    "CREATE TEMP TABLE tmp AS SELECT 7 AS id, 'l' AS label\n" + joined + " => rewritten\nDROP TABLE tmp; " + joined + " => 0A000",
	}
	var role sync.Once
	t.Cleanup(func() {
		super := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
		pgtest.Exec(t, super, `DROP ROLE IF EXISTS "role $"`)
	})
	for _, mode := range modes {
		db := pgtest.Database(t)
		super := pgtest.Connect(t, pgtest.Shared().DSN(db))
		pgtest.Exec(t, super, namesSetup)
		role.Do(func() { pgtest.Exec(t, super, `CREATE ROLE "role $"`) })
		pgtest.Exec(t, super, `GRANT USAGE ON SCHEMA public, "role $" TO "role $"; GRANT SELECT ON users, "role $".users TO "role $"`)
		d := openDoor(t, namesState(t, super), rewriter{})
		for name, script := range scripts {
			if mode != pgx.QueryExecModeSimpleProtocol && name == "in one message" {
				continue // there is no such message
			}
			t.Run(mode.String()+"/"+name, func(t *testing.T) {
				pgtest.Exec(t, super, "DROP TABLE IF EXISTS other.tmp")
				conn := connect(t, d.dsn("postgres", db)+"&options=-csegue.version%3Dold")
				runScript(t, conn, script, mode)
			})
		}
	}
}

var modes = []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement}

// runScript runs a script's lines. The outcome of one is all values, or an SQLSTATE.
func runScript(t *testing.T, conn *pgx.Conn, script string, mode pgx.QueryExecMode) {
	t.Helper()
	for line := range strings.SplitSeq(script, "\n") {
		if strings.HasPrefix(line, "search_path TO 'other'") { // of the line before
			line = "SET /* a */ SESSION -- b\n" + line
		} else if strings.HasSuffix(line, "-- b") {
			continue
		}
		sql, want, asked := strings.Cut(line, " => ")
		var got string
		rows, err := conn.Query(background, sql, mode)
		if err == nil {
			for rows.Next() {
				if values, err := rows.Values(); err == nil {
					got = strings.Trim(fmt.Sprint(values), "[]")
				}
			}
			err = rows.Err()
		}
		if err != nil {
			got = code(err)
		}
		if asked && got != want || !asked && err != nil {
			t.Fatalf("%s: got %q, %v, not %q", sql, got, err, want)
		}
	}
}

// TestPartitionsMadeInTheSession makes partitions of a migrating table, which the proxy's catalog has not heard of, and uses them by their names: as old code, which knows of
// three columns, while the last one is read.
func TestPartitionsMadeInTheSession(t *testing.T) {
	const use = "INSERT INTO %s VALUES (8, 1, 'a') RETURNING * => 8 1 a\nSELECT * FROM %s => 8 1 a\nUPDATE %s SET name = 'b' WHERE name = 'a' RETURNING name => b\n" +
		"SELECT name, k FROM %s WHERE name = 'b' => b 1\nSELECT full_name FROM %s => 42703"
	scripts := map[string]string{
		"made":           "CREATE TABLE e1 PARTITION OF events FOR VALUES IN (1)\n" + use,
		"in transaction": "BEGIN\nCREATE TABLE e1 PARTITION OF events FOR VALUES IN (1)\n" + use + "\nROLLBACK\nSELECT name FROM e1 => 42P01",
		"undone":         "BEGIN\nSAVEPOINT a\nCREATE TABLE e1 PARTITION OF events FOR VALUES IN (1)\nSELECT count(name) FROM e1 => 0\nROLLBACK TO a\nCREATE TABLE e1 PARTITION OF public.events DEFAULT\n" + use + "\nCOMMIT",
		"below":          "CREATE TABLE e0 PARTITION OF events DEFAULT PARTITION BY LIST (k)\nCREATE TABLE e1 PARTITION OF e0 FOR VALUES IN (1)\n" + use,
		"elsewhere":      "CREATE SCHEMA s\nCREATE TABLE s.e1 PARTITION OF events FOR VALUES IN (1)\n" + strings.ReplaceAll(use, "%s", "s.e1") + "\nSELECT name FROM e1 => 42P01",
		"dropped":        "CREATE TABLE e1 PARTITION OF events FOR VALUES IN (1)\n" + use + "\nDROP TABLE e1\nCREATE TABLE e1 (id int, full_name text)\nSELECT full_name FROM e1",
	}
	for _, mode := range modes {
		for name, script := range scripts {
			t.Run(mode.String()+"/"+name, func(t *testing.T) {
				db := pgtest.Database(t)
				super := pgtest.Connect(t, pgtest.Shared().DSN(db))
				pgtest.Exec(t, super, "CREATE TABLE events (id int, k int, name text, full_name text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
				text, number := catalog.Type{OID: 25, Mod: -1, SQL: "text"}, catalog.Type{OID: 23, Mod: -1, SQL: "integer"}
				r := &catalog.Relation{Schema: "public", Name: "events", Kind: catalog.PartitionedTable, PrimaryKey: []string{"id", "k"}, Columns: []catalog.Column{
					{Name: "id", Num: 1, Type: number, NotNull: true}, {Name: "k", Num: 2, Type: number, NotNull: true}, {Name: "name", Num: 3, Type: text}, {Name: "full_name", Num: 4, Type: text},
				}}
				if err := super.QueryRow(background, "SELECT 'events'::regclass::oid").Scan(&r.OID); err != nil {
					t.Fatal(err)
				}
				st, err := rewrite.NewState(3, catalog.New([]*catalog.Relation{r}, nil, nil), []rewrite.Migration{{
					Definition: &lens.Definition{
						Name: "events_full_name", Table: lens.TableName{Schema: "public", Name: "events"}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
					},
					Stage: lens.Stage{Phase: lens.SwitchReads, Proved: true}, OldNums: map[string]int16{"name": 3}, Seq: 1,
				}})
				if err != nil {
					t.Fatal(err)
				}
				d := openDoor(t, st, rewriter{})
				runScript(t, connect(t, d.dsn("postgres", db)+"&options=-csegue.version%3Dold"), strings.ReplaceAll(script, "%s", "e1"), mode)
			})
		}
	}
}

// A session's first statement may read the catalogs, as pg_dump's and mappers' do: it does not wait for what statements on tables wait for, and is planned all the same.
func TestCatalogsBeforeTheGateOpens(t *testing.T) {
	for _, leased := range []bool{true, false} {
		w := newWire(t, "old", 2, false)
		w.started(t)
		w.gate.shut, w.gate.leased = true, leased
		w.client(frames(t, wiretest.Client, `Query "SELECT attname FROM pg_attribute"`))
		w.server(frames(t, wiretest.Server, settingsReply("")+"\nReady I"))
		if got := strings.Contains(string(w.toS), "n2 FROM"); w.s.Blocked() != NotBlocked || got != leased {
			t.Errorf("leased %v: %s, and the server gets %q", leased, w.s.Blocked(), w.toS)
		}
	}
}
