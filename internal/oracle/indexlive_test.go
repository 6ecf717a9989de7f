package oracle

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// indexCase is a migration of a table of 20,000 rows, and statements that use an index in the schema that their code was written for.
type indexCase struct {
	name   string
	create []string // the table, its rows and its indexes, as they are before
	change lens.Definition
	after  []string // what makes of that the schema that new code was written for, for comparison
	old    []string
	new    []string
	// newFrom is the phase from which on new code is to find its indexes: before, where values are converted, it reads an expression over the old columns,
	// for which there is an index only where somebody made one.
	newFrom lens.Phase
	// known are the statements that scan the table, by phase and version, and why that is so.
	known map[string]string
}

var numberShapes = []string{
	"SELECT id FROM items WHERE {c} = 77",
	"SELECT i.* FROM items i WHERE i.{c} = 77 AND i.age > 3",
	"SELECT id FROM items WHERE {c} IN (77, 78)",
	"SELECT id FROM items WHERE {c} = ANY (ARRAY[77, 78])",
	"SELECT id FROM items WHERE {c} > 777 AND {c} < 788",
	"SELECT id FROM items WHERE {c} BETWEEN 777 AND 788",
	"SELECT {c} FROM items ORDER BY {c} LIMIT 10",
	"SELECT id FROM items ORDER BY {c} DESC LIMIT 10",
	"SELECT max({c}), min({c}) FROM items",
	"SELECT id FROM items WHERE {c} IS NULL",
	"SELECT l.id FROM labels l JOIN items i ON i.{c} = l.number WHERE l.id = 3",
	"SELECT id FROM labels l WHERE l.id = 3 AND EXISTS (SELECT 1 FROM items i WHERE i.{c} = l.number)",
	"UPDATE items SET age = 1 WHERE {c} = 77",
	"DELETE FROM items WHERE {c} = 77",
	"WITH w AS (SELECT * FROM items WHERE {c} = 77) SELECT count(*) FROM w",
	"INSERT INTO labels SELECT 5000, max(label), 7 FROM labels WHERE EXISTS (SELECT 1 FROM items WHERE {c} = 77)",
}

var textShapes = []string{
	"SELECT id FROM items WHERE {c} = '77'",
	"SELECT i.* FROM items i WHERE i.{c} = '77' AND i.age > 3",
	"SELECT id FROM items WHERE {c} IN ('77', '78')",
	"SELECT id FROM items WHERE {c} > '777' AND {c} < '7779'",
	"SELECT id FROM items WHERE {c} LIKE '777%'",
	"SELECT {c} FROM items ORDER BY {c} LIMIT 10",
	"SELECT id FROM items ORDER BY {c} DESC LIMIT 10",
	"SELECT max({c}) FROM items",
	"SELECT id FROM items WHERE {c} IS NULL",
	"SELECT l.id FROM labels l JOIN items i ON i.{c} = l.label WHERE l.id = 3",
	"SELECT id FROM labels l WHERE l.id = 3 AND EXISTS (SELECT 1 FROM items i WHERE i.{c} = l.label)",
	"UPDATE items SET age = 1 WHERE {c} = '77'",
	"DELETE FROM items WHERE {c} = '77'",
	"WITH w AS (SELECT * FROM items WHERE {c} = '77') SELECT count(*) FROM w",
}

// over gives statements over a column.
func over(shapes []string, column string) []string {
	var out []string
	for _, s := range shapes {
		out = append(out, strings.ReplaceAll(s, "{c}", column))
	}
	return out
}

const labels = `CREATE TABLE labels (id int PRIMARY KEY, label varchar(20), number bigint); INSERT INTO labels SELECT i, i::text, i FROM generate_series(1, 1000) i`

var indexCases = []indexCase{
	{
		name: "rename",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, name varchar(20), age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
			`CREATE INDEX ON items (name)`, `CREATE INDEX ON items (name varchar_pattern_ops)`,
		},
		change: lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "title"}},
		after:  []string{`ALTER TABLE items RENAME name TO title`},
		old:    over(textShapes, "name"), new: over(textShapes, "title"),
	},
	{
		name: "change of type",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, price varchar(20), age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
			`CREATE INDEX ON items (price)`, `CREATE INDEX by_pattern ON items (price varchar_pattern_ops)`,
		},
		change: lens.Definition{ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar"}},
		after:  []string{`DROP INDEX by_pattern`, `ALTER TABLE items ALTER price TYPE bigint USING price::bigint`, `ALTER TABLE items RENAME price TO price_v2`},
		old:    over(textShapes, "price"), new: over(numberShapes, "price_v2"), newFrom: lens.SwitchReads,
	},
	{
		name: "change of type, lookups asked for",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, price varchar(20), age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
			`CREATE INDEX ON items (price)`,
		},
		change: lens.Definition{
			ChangeType:    &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar"},
			LookupIndexes: true,
		},
		after: []string{`ALTER TABLE items ALTER price TYPE bigint USING price::bigint`, `ALTER TABLE items RENAME price TO price_v2`},
		new:   over(numberShapes, "price_v2"), newFrom: lens.DualWrite,
	},
	{
		name: "unique",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, code varchar(20) UNIQUE, age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
		},
		change: lens.Definition{ChangeType: &lens.ChangeType{Column: "code", To: "code_v2", Type: "bigint", Up: "code::bigint", Down: "code_v2::varchar"}},
		after:  []string{`ALTER TABLE items ALTER code TYPE bigint USING code::bigint`, `ALTER TABLE items RENAME code TO code_v2`},
		old: []string{
			"SELECT id FROM items WHERE code = '77'",
			"INSERT INTO items (id, code) VALUES (30000, '77') ON CONFLICT (code) DO UPDATE SET age = EXCLUDED.age",
			"INSERT INTO items (id, code) SELECT 30000 + id, label FROM labels WHERE id = 3 ON CONFLICT (code) DO NOTHING",
		},
		new: []string{
			"SELECT id FROM items WHERE code_v2 = 77",
			"INSERT INTO items (id, code_v2) VALUES (30000, 77) ON CONFLICT (code_v2) DO UPDATE SET age = EXCLUDED.age",
			"INSERT INTO items (id, code_v2) SELECT 30000 + id, number FROM labels WHERE id = 3 ON CONFLICT (code_v2) DO NOTHING",
		},
		newFrom: lens.SwitchReads,
	},
	{
		name: "columns",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, first text, last text, age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN 'a' || i % 50 END, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
			`CREATE INDEX ON items (last)`, `CREATE INDEX ON items (last text_pattern_ops)`,
		},
		change: lens.Definition{Columns: &lens.Columns{
			Drop: []string{"first", "last"}, Add: []lens.AddColumn{{Name: "whole", Type: "text", Up: "first || ' ' || last"}},
			Down: map[string]string{"first": "split_part(whole, ' ', 1)", "last": "substr(whole, strpos(whole, ' ') + 1)"},
		}},
		after: []string{`ALTER TABLE items ADD whole text`, `ALTER TABLE items DROP first, DROP last`},
		old:   over(textShapes, "last"),
	},
}

// TestIndexesThroughPhases carries migrations of a table out that is large enough for indexes to count, and has PostgreSQL explain statements at every stop:
// none may read the whole table that does not in its own schema.
func TestIndexesThroughPhases(t *testing.T) {
	for _, c := range indexCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			make := func(more ...string) string {
				name := pgtest.Database(t)
				conn := pgtest.Connect(t, pgtest.Shared().DSN(name))
				pgtest.Exec(t, conn, append(append([]string{labels}, c.create...), more...)...)
				pgtest.Exec(t, conn, "VACUUM ANALYZE items", "VACUUM ANALYZE labels")
				return name
			}
			own := [2]*pgx.Conn{pgtest.Connect(t, pgtest.Shared().DSN(make())), pgtest.Connect(t, pgtest.Shared().DSN(make(c.after...)))}
			shapes := [2][]string{c.old, c.new}
			for s, list := range shapes {
				for _, sql := range list {
					if !scansNothing(t, own[s], sql, "items") {
						t.Fatalf("%s uses no index by itself", sql)
					}
				}
			}
			name := make()
			addr, control := startProxy(t, pgtest.Shared().DSN(name))
			l := &liveWorld{t: t, control: control}
			var through [2]*pgx.Conn
			for s, v := range []lens.Version{lens.Old, lens.New} {
				through[s] = pgtest.Connect(t, fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", addr, name, v))
			}
			met := map[string]bool{}
			at := func(p lens.Phase) {
				t.Helper()
				l.settle(func(ms []migrate.MigrationStatus) bool { return len(ms) == 1 && ms[0].Phase == p })
				for s, list := range shapes {
					if Side(s) == NewSide && p < c.newFrom {
						continue
					}
					for _, sql := range list {
						place := fmt.Sprintf("%s, %s: %s", p, Side(s), sql)
						switch scans := !scansNothing(t, through[s], sql, "items"); {
						case scans && c.known[place] == "":
							t.Errorf("%s scans the table:\n%s", place, explain(t, through[s], sql))
						case c.known[place] != "":
							met[place] = scans
						}
					}
				}
			}
			d := c.change
			d.Name, d.Table = "items_change", lens.TableName{Schema: "public", Name: "items"}
			to := func(p lens.Phase) {
				t.Helper()
				must(control.Advance(ctx, d.Name, proxy.AdvanceOptions{To: &p, Yes: true}))
				at(p)
			}
			must(control.Start(ctx, &d))
			at(lens.DualWrite)
			to(lens.Backfilling)
			to(lens.SwitchReads)
			to(lens.Contract)
			to(lens.Complete)
			for place := range c.known {
				if !met[place] {
					t.Errorf("%s is said to scan the table, and does not: take it out of the list", place)
				}
			}
		})
	}
}

// explain gives PostgreSQL's plan of a statement.
func explain(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	rows, err := conn.Query(context.Background(), "EXPLAIN (COSTS OFF) "+sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	return strings.Join(lines, "\n")
}

// scansNothing says whether PostgreSQL would carry the statement out without reading all of the table, and would find conflicts by an index.
func scansNothing(t *testing.T, conn *pgx.Conn, sql, table string) bool {
	t.Helper()
	plan := explain(t, conn, sql)
	return !strings.Contains(plan, "Seq Scan on "+table) && (!strings.Contains(sql, "ON CONFLICT (") || strings.Contains(plan, "Conflict Arbiter Indexes: "))
}
