package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"segue/internal/pgtest"
)

// A replication connection is a walsender's: it knows no extended protocol, so that the session asks by a Query; its commands are no SQL, whatever
// they name; and a stream goes both ways.
func TestReplicationConnections(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(db)), "CREATE PUBLICATION users FOR TABLE users")
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, d.dsn("postgres", db)+"&replication=database")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	gives := func(sql, want string) {
		t.Helper()
		res, err := conn.Exec(ctx, sql).ReadAll()
		got := ""
		if len(res) > 0 && len(res[len(res)-1].Rows) > 0 {
			got = string(res[len(res)-1].Rows[0][0])
		}
		if err != nil && want != code(err) || err == nil && want != "" && got != want {
			t.Fatalf("%s: %q, %v; want %q", sql, got, err, want)
		}
	}
	gives("SELECT name FROM users WHERE id = 7", "two 7")
	gives("SELECT nope FROM users", "0A000")
	gives("BEGIN; SELECT 1/0", "22012")
	gives("SELECT name FROM users", "25P02")
	gives("ROLLBACK; SELECT name FROM users WHERE id = 8", "two 8")
	gives("SET search_path = public", "")
	gives("SELECT name FROM users WHERE id = 9", "two 9")
	gives("CREATE_REPLICATION_SLOT users TEMPORARY LOGICAL pgoutput", "users")
	gives("IDENTIFY_SYSTEM", "")

	front := conn.Frontend()
	front.Send(&pgproto3.Query{String: "START_REPLICATION SLOT users LOGICAL 0/0 (proto_version '1', publication_names 'users')"})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(db)), "UPDATE users SET name = 'streamed' WHERE id = 1")
	front.Send(&pgproto3.CopyData{Data: append([]byte{'r'}, make([]byte, 33)...)}) // a standby's status
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := m.(*pgproto3.CopyData); ok && strings.Contains(string(data.Data), "streamed") {
			break
		}
	}
	front.Send(&pgproto3.CopyDone{})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	gives("DROP_REPLICATION_SLOT users", "") // as long as it is in use the database cannot be dropped, and a session's end is not waited for
}
