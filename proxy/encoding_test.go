package proxy

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// Statements on a migrating table keep their bytes in the client's encoding, and errors their places in characters.
func TestClientEncodings(t *testing.T) {
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)))
	dsn, direct := r.database(t, usersTable)
	ctx := context.Background()
	plain := pgtest.Connect(t, direct)
	for i, c := range []struct{ encoding, client, utf8 string }{
		{"LATIN1", "caf\xe9", "café"},
		{"WIN1252", "\x80 \x93q\x94", "€ “q”"},
		{"KOI8R", "\xd0\xd2\xc9\xd7\xc5\xd4", "привет"},
		{"SJIS", "\x95\x5c\x8e\xa6 \xb1", "表示 ｱ"}, // whose second byte is a backslash
		{"EUC_JP", "\xc9\xbd\xbc\xa8", "表示"},
		{"BIG5", "\xa5\x5c\xaf\xe0", "功能"},
		{"GBK", "\xb1\xed\xca\xbe", "表示"},
		{"GB18030", "\x81\x30\x81\x30\xb1\xed", "\u0080表"},
		{"EUC_KR", "\xb0\xa1", "가"},
		{"UTF8", "表é", "表é"},
	} {
		conn, err := pgconn.Connect(ctx, dsn+"&client_encoding="+c.encoding)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint(i + 100)
		for _, sql := range []string{
			"INSERT INTO users (id, name) /* " + c.client + " */ VALUES (" + id + ", '" + c.client + "')",
			"UPDATE users SET name = name || E'" + c.client + "' WHERE name = '" + c.client + "' AND id = " + id,
		} {
			if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
				t.Errorf("%s: %s: %v", c.encoding, sql, err)
			}
		}
		if got := query(t, plain, "SELECT name || full_name FROM users WHERE id = $1", i+100); got != c.utf8+c.utf8+c.utf8+c.utf8 {
			t.Errorf("%s: stored %q", c.encoding, got)
		}
		res, err := conn.Exec(ctx, "SELECT name, '"+c.client+"' AS \""+c.client+"\" FROM users WHERE id = "+id).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", c.encoding, err)
		} else if got := string(res[0].Rows[0][0]); got != c.client+c.client || res[0].FieldDescriptions[1].Name != c.client {
			t.Errorf("%s: reads %q", c.encoding, got)
		}
		read := conn.ExecParams(ctx, "SELECT name FROM users WHERE name = '"+c.client+c.client+"' AND id = $1::text::int", [][]byte{[]byte(id)}, nil, nil, nil).Read()
		if read.Err != nil || len(read.Rows) != 1 || string(read.Rows[0][0]) != c.client+c.client {
			t.Errorf("%s: reads %q, %v", c.encoding, read.Rows, read.Err)
		}
		sql := "SELECT '" + c.client + "', name, nothing FROM users"
		_, err = conn.Exec(ctx, sql).ReadAll()
		var pe *pgconn.PgError
		if want := len([]rune("SELECT '" + c.utf8 + "', name, n")); !errors.As(err, &pe) || pe.Code != "42703" || int(pe.Position) != want {
			t.Errorf("%s: %v at %d; want %d", c.encoding, err, pe.Position, want)
		}
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	// What is none of the encoding's, and encodings that are not known.
	for _, c := range []struct{ encoding, text, want string }{{"WIN1252", "\x81", "0A000"}, {"EUC_TW", "\xc4\xe3", "0A000"}, {"UTF8", "\xe9", "22021"}} {
		conn, err := pgconn.Connect(ctx, dsn+"&client_encoding="+c.encoding)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(ctx, "SELECT name FROM users WHERE name = '"+c.text+"'").ReadAll()
		wantCode(t, err, c.want)
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}
