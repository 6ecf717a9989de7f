package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
	// target is the table that columns of a split move to, which no statement may read whole either; "" for other migrations.
	target string
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
	{
		name: "split",
		create: []string{
			`CREATE TABLE items (id bigint PRIMARY KEY, note varchar(20), age int)`,
			`INSERT INTO items SELECT i, CASE WHEN i % 2000 <> 0 THEN i::text END, i % 90 FROM generate_series(1, 20000) i`,
			`CREATE INDEX ON items (note)`, `CREATE INDEX ON items (note varchar_pattern_ops)`,
		},
		change: lens.Definition{SplitTable: &lens.SplitTable{
			To: lens.TableName{Schema: "public", Name: "notes"}, Key: map[string]string{"id": "item_id"}, Columns: map[string]string{"note": "note"}, Create: notesTable,
		}},
		after: []string{
			`CREATE TABLE notes (item_id bigint PRIMARY KEY REFERENCES items, note varchar(20))`, `CREATE INDEX ON notes (note)`,
			`INSERT INTO notes SELECT id, note FROM items WHERE note IS NOT NULL`, `ALTER TABLE items DROP note`, `ANALYZE notes`,
		},
		target: "notes",
		old:    over(textShapes, "note"),
		new: []string{
			"SELECT note FROM notes WHERE item_id = 77",
			"SELECT item_id FROM notes WHERE note = '77'",
			"SELECT i.age, n.note FROM items i LEFT JOIN notes n ON n.item_id = i.id WHERE i.id = 77",
			"SELECT i.age FROM items i JOIN notes n ON n.item_id = i.id WHERE n.note = '77'",
			"SELECT note FROM notes WHERE item_id = 77 FOR UPDATE",
			"SELECT * FROM notes WHERE note = '77' FOR SHARE NOWAIT",
			"SELECT * FROM notes ORDER BY note LIMIT 3 FOR UPDATE SKIP LOCKED",
			"UPDATE notes SET note = 'x' WHERE item_id = 77",
			"UPDATE notes SET note = 'x' WHERE note = '77' OR item_id = 78",
			"UPDATE notes SET note = 'x' WHERE item_id IN (77, 78)",
			"UPDATE notes SET note = label FROM labels WHERE labels.number = item_id AND labels.id = 3",
			"UPDATE notes SET note = 'x' WHERE item_id IN (SELECT number FROM labels WHERE id = 3)",
			"DELETE FROM notes WHERE item_id = 77",
			"DELETE FROM notes WHERE note = '77'",
			"DELETE FROM notes USING labels WHERE label = note AND id = 3",
			"DELETE FROM notes n USING items i WHERE i.id = n.item_id AND i.id BETWEEN 5 AND 7",
			"DELETE FROM notes n USING items i WHERE i.id = n.item_id AND i.id IN (5, 70, 700, 7000) AND n.note <> i.age::text",
			"UPDATE notes n SET note = i.age::text FROM items i WHERE i.id = n.item_id AND i.id BETWEEN 5 AND 24",
			"DELETE FROM notes WHERE note IN (SELECT label FROM labels WHERE id < 4)",
			"DELETE FROM notes WHERE EXISTS (SELECT 1 FROM labels WHERE number = item_id AND id = 3)",
			"MERGE INTO notes USING (SELECT * FROM labels WHERE id = 3) l ON l.number = item_id WHEN MATCHED AND note <> 'x' THEN UPDATE SET note = l.label WHEN NOT MATCHED THEN INSERT VALUES (l.number, l.label)",
			"INSERT INTO notes VALUES (77, 'x') ON CONFLICT (item_id) DO UPDATE SET note = EXCLUDED.note",
			"UPDATE items SET age = 3 WHERE id = 77",
			"DELETE FROM items WHERE id = 77",
			"DELETE FROM items WHERE id = 77 AND EXISTS (SELECT 1 FROM labels WHERE number = 3)",
			"UPDATE items SET id = 30000 WHERE id = 77",
			"DELETE FROM items WHERE id IN (SELECT item_id FROM notes WHERE note = '77')",
			"DELETE FROM items i WHERE i.id IN (SELECT number FROM labels WHERE id < 4) AND i.age > 1",
			"DELETE FROM items WHERE NOT EXISTS (SELECT FROM labels WHERE number = 30000) AND id = 77",
			"UPDATE items SET id = 30000 WHERE id IN (SELECT item_id FROM notes WHERE note = '77')",
		},
		newFrom: lens.SwitchReads,
	},
}

const notesTable = `CREATE TABLE public.notes (item_id bigint PRIMARY KEY REFERENCES public.items (id), note varchar(20)); CREATE INDEX ON public.notes (note)`

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
					if !scansNothing(t, own[s], sql, "items", c.target) {
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
					if Side(s) == NewSide && p < c.newFrom || Side(s) == OldSide && p == lens.Complete && c.target != "" {
						continue
					}
					for _, sql := range list {
						place := fmt.Sprintf("%s, %s: %s", p, Side(s), sql)
						switch scans := !scansNothing(t, through[s], sql, "items", c.target); {
						case scans && c.known[place] == "":
							t.Errorf("%s scans the table:\n%s", place, explain(t, through[s], sql))
						case c.known[place] != "":
							met[place] = scans
						}
						if c.target != "" && Side(s) == OldSide { // for which the table is what it was
							if was, is := explain(t, own[s], sql), explain(t, through[s], sql); was != is {
								t.Errorf("%s has another plan than in its own schema:\n%s\nand there:\n%s", place, is, was)
							}
						}
					}
				}
			}
			d := c.change
			d.Name, d.Table = "items_change", lens.TableName{Schema: "public", Name: "items"}
			to := func(p lens.Phase) {
				t.Helper()
				must(control.Advance(ctx, d.Name, proxy.AdvanceOptions{To: &p, Yes: true, QuietFor: new(time.Duration)}))
				at(p)
			}
			must(control.Start(ctx, &d, proxy.StartOptions{}))
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

// scansNothing says whether PostgreSQL would carry the statement out without reading all of one of the tables, and would find conflicts by an index.
func scansNothing(t *testing.T, conn *pgx.Conn, sql string, tables ...string) bool {
	t.Helper()
	plan := explain(t, conn, sql)
	scans := slices.ContainsFunc(tables, func(table string) bool { return table != "" && strings.Contains(plan, "Seq Scan on "+table) })
	return !scans && (!strings.Contains(sql, "ON CONFLICT (") || strings.Contains(plan, "Conflict Arbiter Indexes: "))
}
