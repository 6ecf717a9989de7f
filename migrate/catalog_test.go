package migrate

import (
	"context"
	"slices"
	"testing"

	"segue/internal/pgtest"
	"segue/rewrite/catalog"
)

func TestCatalog(t *testing.T) {
	e := newEnv(t, `
		CREATE TYPE pair AS (a int, b text);
		CREATE TABLE "Odd ""Table" (gone int, b text COLLATE "C" DEFAULT lower('X'), a varchar(7) NOT NULL, id int GENERATED ALWAYS AS IDENTITY,
			sum numeric(8,2) GENERATED ALWAYS AS (1.5) STORED, CONSTRAINT "Odd_table_pkey" PRIMARY KEY (id, a) INCLUDE (b));
		ALTER TABLE "Odd ""Table" ADD CONSTRAINT twice EXCLUDE (a WITH =), ADD CONSTRAINT plain CHECK (a <> b), ADD CONSTRAINT none CHECK (1 > 0);
		ALTER TABLE "Odd ""Table" DROP COLUMN gone;
		CREATE TABLE w (b text, CONSTRAINT whole CHECK (b <> '' OR w IS NOT NULL));
		GRANT INSERT (b) ON w TO PUBLIC;
		CREATE VIEW v AS SELECT 1 AS one;
		CREATE TABLE b (x int); CREATE TABLE a () INHERITS (b, "Odd ""Table");
		CREATE TABLE c (k int) PARTITION BY LIST (k); CREATE TABLE c1 PARTITION OF c DEFAULT PARTITION BY LIST (k); CREATE TABLE c2 PARTITION OF c1 DEFAULT;
		CREATE TEMP TABLE passing (a int);
		CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION f(text) RETURNS pair VOLATILE LANGUAGE sql AS 'SELECT 1, $1';
		CREATE FUNCTION g(OUT x int, OUT y text, z int) STABLE LANGUAGE sql AS 'SELECT 1, $1::text';
		CREATE FUNCTION h() RETURNS TABLE (u int) STABLE COST 20000 LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION chance(int, int) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT random() < 0.5';
		CREATE OPERATOR <?> (LEFTARG = int, RIGHTARG = int, FUNCTION = chance);`)
	c, err := ReadCatalog(context.Background(), pgtest.Shared().DSNAs("control", e.db))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Relation("public", `Odd "Table`)
	if r == nil || r.Kind != catalog.Table || !slices.Equal(r.PrimaryKey, []string{"id", "a"}) || len(r.Columns) != 4 || c.ByOID(r.OID) != r {
		t.Fatalf("table: %+v", r)
	}
	b0 := c.Relation("public", "w")
	for name, want := range map[string][]string{"Odd_table_pkey": {"id", "a", ""}, "twice": {"a", ""}, "plain": {"a", "b"}, "none": {}} {
		got, known := r.Constraints[name]
		slices.Sort(got)
		slices.Sort(want)
		if !known || !slices.Equal(got, want) {
			t.Errorf("constraint %s: %q (%t), not %q", name, got, known, want)
		}
	}
	if got := c.Relation("public", "w").Constraints["whole"]; !slices.Contains(got, "") {
		t.Errorf("a constraint over a whole row is one of %q", got)
	}
	for i, want := range []catalog.Column{
		{Name: "b", Num: 2, Type: catalog.Type{OID: 25, Mod: -1, SQL: "text"}, Default: "lower('X'::text)"},
		{Name: "a", Num: 3, Type: catalog.Type{OID: 1043, Mod: 11, SQL: "character varying(7)"}, NotNull: true},
		{Name: "id", Num: 4, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true, Identity: true},
		{Name: "sum", Num: 5, Type: catalog.Type{OID: 1700, Mod: 8<<16 + 2 + 4, SQL: "numeric(8,2)"}, Generated: true},
	} {
		if r.Columns[i] != want {
			t.Errorf("got %+v, not %+v", r.Columns[i], want)
		}
	}
	if r.ByColumn || !b0.ByColumn {
		t.Error("privileges on single columns are not told apart")
	}
	if v := c.Relation("public", "v"); v == nil || v.Kind != catalog.View || v.PrimaryKey != nil {
		t.Errorf("view: %+v", v)
	}
	b, a := c.Relation("public", "b"), c.Relation("public", "a")
	if !slices.Equal(a.Parents, []uint32{b.OID, r.OID}) || !slices.Equal(c.Descendants(r.OID), []*catalog.Relation{a}) || b.Parents != nil {
		t.Errorf("inheritance: %+v", a)
	}
	if all := c.Descendants(c.Relation("public", "c").OID); len(all) != 2 || all[0].Name != "c1" || all[1].Name != "c2" || all[0].Kind != catalog.PartitionedTable {
		t.Errorf("partitions: %+v", all)
	}
	if c.Relation("pg_catalog", "pg_class") == nil || c.Find([]string{"public"}, "passing") != nil {
		t.Error("system relations are missing, or temporary ones are there")
	}
	for _, want := range []catalog.Function{
		{Schema: "public", Name: "f", Volatile: true, Row: true, Open: true, Scalar: true},
		{Schema: "public", Name: "g", Columns: []string{"x", "y"}, Row: true},
		{Schema: "public", Name: "h", Volatile: true, Columns: []string{"u"}, Dear: true},
		{Schema: "pg_catalog", Name: "random", Volatile: true, Scalar: true},
	} {
		f := c.Function(nil, want.Schema, want.Name)
		if f == nil || f.Volatile != want.Volatile || f.Row != want.Row || f.Open != want.Open || f.Scalar != want.Scalar || f.Dear != want.Dear || !slices.Equal(f.Columns, want.Columns) {
			t.Errorf("got %+v, not %+v", f, want)
		}
	}
	if !c.VolatileOperator("<?>") || c.VolatileOperator("+") {
		t.Error("volatile operators are not told apart")
	}
}

// TestFingerprint changes what the catalog holds, in every way, and what it does not hold.
func TestFingerprint(t *testing.T) {
	e := newEnv(t, smallTable)
	ctx := context.Background()
	before, err := fingerprint(ctx, e.super)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sql  string
		same bool
	}{
		{"ANALYZE users", true},
		{"CREATE INDEX ON users (email)", true},
		{"UPDATE users SET email = 'x'", true},
		{"CREATE TEMP TABLE passing (a serial PRIMARY KEY, b text DEFAULT 'b', c int[])", true},
		{"ALTER TABLE users RENAME COLUMN email TO mail", false},
		{"ALTER TABLE users ALTER mail SET DEFAULT 'a'", false},
		{"ALTER TABLE users ALTER mail SET DEFAULT 'b'", false},
		{"ALTER TABLE users ALTER mail SET NOT NULL", false},
		{"ALTER TABLE users ALTER mail TYPE varchar(9)", false},
		{"ALTER TABLE users RENAME TO people", false},
		{"ALTER TABLE people DROP CONSTRAINT users_pkey", false},
		{"ALTER TABLE people ADD CONSTRAINT known CHECK (id > 0)", false},
		{"ALTER TABLE people RENAME CONSTRAINT known TO renamed", false},
		{"CREATE SCHEMA other", false},
		{"ALTER TABLE people SET SCHEMA other", false},
		{"ALTER SCHEMA other RENAME TO another", false},
		{"CREATE TABLE k (id int, name text) PARTITION BY LIST (id)", false},
		{"CREATE TABLE k1 (id int, name text)", false},
		{"ALTER TABLE k ATTACH PARTITION k1 DEFAULT", false},
		{"ALTER TABLE k DETACH PARTITION k1", false},
		{"CREATE VIEW v AS SELECT 1 AS a", false},
		{"CREATE TYPE mood AS ENUM ('good')", false},
		{"ALTER TYPE mood RENAME TO temper", false},
		{"CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'", false},
		{"ALTER FUNCTION f() VOLATILE", false},
		{"DROP FUNCTION f()", false},
		{"DROP TABLE another.people", false},
	} {
		e.exec(c.sql)
		after, err := fingerprint(ctx, e.super)
		if err != nil {
			t.Fatal(err)
		}
		if (after == before) != c.same {
			t.Errorf("%s: same %v", c.sql, after == before)
		}
		before = after
	}
}
