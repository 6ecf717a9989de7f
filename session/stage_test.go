package session

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// broken is data that fails after its first bytes, so that the driver sends CopyFail.
type broken struct{ sent bool }

func (b *broken) Read(p []byte) (int, error) {
	if b.sent {
		return 0, errors.New("no more")
	}
	b.sent = true
	return copy(p, "1\t2\tx\n"), nil
}

// COPY into a column whose values must be converted is, to the client, a COPY into a table of its own schema.
func TestStagedCopy(t *testing.T) {
	direct, through := pgtest.Database(t), pgtest.Database(t)
	ref := pgtest.Connect(t, pgtest.Shared().DSN(direct))
	pgtest.Exec(t, ref, `CREATE TABLE products (id int PRIMARY KEY, price varchar(6) DEFAULT '7', label text NOT NULL DEFAULT 'none')`)
	admin := pgtest.Connect(t, pgtest.Shared().DSN(through))
	pgtest.Exec(t, admin,
		"CREATE TABLE products (id int PRIMARY KEY, price text, label text NOT NULL DEFAULT 'none', price_v2 bigint DEFAULT '7'::bigint)",
		"ALTER TABLE products DROP COLUMN price",
		"CREATE SCHEMA segue",
		"CREATE FUNCTION segue.fit(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1'",
		`CREATE FUNCTION segue.formless(anyelement, text) RETURNS anyelement LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'formless' USING ERRCODE = '22000'; END$$`)
	var oid uint32
	if err := admin.QueryRow(background, "SELECT 'products'::regclass::oid").Scan(&oid); err != nil {
		t.Fatal(err)
	}
	products := &catalog.Relation{OID: oid, Schema: "public", Name: "products", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
		{Name: "id", Num: 1, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true},
		{Name: "label", Num: 3, Type: catalog.Type{OID: 25, Mod: -1, SQL: "text"}, NotNull: true, Default: "'none'::text"},
		{Name: "price_v2", Num: 4, Type: catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}, Default: "'7'::bigint"},
	}}
	st, err := rewrite.NewState(1, catalog.New([]*catalog.Relation{products}, nil, nil), []rewrite.Migration{{
		Definition: &lens.Definition{
			Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "products"},
			ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar"},
		},
		Stage: lens.Stage{Phase: lens.Complete, Proved: true}, OldNums: map[string]int16{"price": 2},
		OldTypes: map[string]catalog.Type{"price": {OID: 1043, Mod: 10, SQL: "character varying(6)"}}, Seq: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := openDoor(t, st, nil)
	conn := connect(t, d.dsn("postgres", through))

	say := func(tag pgconn.CommandTag, err error) string {
		var pe *pgconn.PgError
		if errors.As(err, &pe) {
			return pe.Code + ": " + pe.Message + "; " + pe.Where
		}
		return fmt.Sprint(tag, err)
	}
	rows := func(c *pgx.Conn) string {
		all, err := pgx.CollectRows(must(t, c, "SELECT format('%s|%s|%s', id, price, label) FROM products ORDER BY id"), pgx.RowTo[string])
		return fmt.Sprint(all, err)
	}
	for _, c := range []struct {
		text, data string
		in         io.Reader
	}{
		{text: "COPY products FROM STDIN", data: "1\t10\ta\n2\t20\tb\n3\t\\N\tc\n"},
		{text: "COPY products (price, id) FROM STDIN (FORMAT csv)", data: "30,4\n,5\n"},
		{
			text: "COPY public.products (id, price, label) FROM STDIN WITH (FORMAT csv, HEADER match, FORCE_NOT_NULL (label)) WHERE price <> '50' AND id > 0;",
			data: "id,price,label\n6,50,x\n7,60,\n8,70,\"y\ny\"\n",
		},
		{text: "COPY products (id, price) FROM STDIN (FORMAT csv, HEADER match)", data: "id,cost\n6,50\n"},
		{text: "COPY products (id, price) FROM STDIN", data: "9\t1\nx\t2\n"},
		{text: "COPY products (id, price) FROM STDIN", data: "10\t1234567\n"},
		{text: "COPY products (id, price) FROM STDIN", data: "10\n"},
		{text: "COPY products (id) FROM STDIN", data: "11\n"},
		{text: "COPY products (id, price) FROM STDIN", in: &broken{}},
		{text: "COPY products (id, price) FROM STDIN", data: ""},
		{text: "copy products(id,price)from stdin csv", data: "12,5\n"},
	} {
		run := func(conn *pgx.Conn) string {
			in := c.in
			if in == nil {
				in = strings.NewReader(c.data)
			} else {
				in = &broken{}
			}
			return say(conn.PgConn().CopyFrom(background, in, c.text))
		}
		if want, got := run(ref), run(conn); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.text, got, want)
		}
		if want, got := rows(ref), rows(conn); got != want {
			t.Fatalf("%s:\n got %s\nwant %s", c.text, got, want)
		}
	}

	// In a transaction, and after it.
	for _, conn := range []*pgx.Conn{ref, conn} {
		pgtest.Exec(t, conn, "BEGIN", "SAVEPOINT s")
		if tag, err := conn.PgConn().CopyFrom(background, strings.NewReader("1\t2\n"), "COPY products (id, price) FROM STDIN"); code(err) != "23505" {
			t.Fatal(tag, err)
		}
		pgtest.Exec(t, conn, "ROLLBACK TO s")
		for id := range 2 {
			if tag, err := conn.PgConn().CopyFrom(background, strings.NewReader(fmt.Sprintf("%d\t2\n", 20+id)), "COPY products (id, price) FROM STDIN"); err != nil || tag.String() != "COPY 1" {
				t.Fatal(tag, err)
			}
		}
		pgtest.Exec(t, conn, "COMMIT")
	}
	if want, got := rows(ref), rows(conn); got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}

func must(t *testing.T, conn *pgx.Conn, sql string) pgx.Rows {
	t.Helper()
	rows, err := conn.Query(background, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
