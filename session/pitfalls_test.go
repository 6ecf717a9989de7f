package session

import (
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/internal/wiretest"
)

// pitfalls are orders of messages that proxies have got wrong. Each is played to the server and through a session whose state changes meanwhile; what comes back must be
// the same. Lines that begin with -- end a burst: the client reads all its answers before it goes on.
var pitfalls = map[string]string{
	"Close after a failed Parse": `
Parse s "SELECT name FROM users WHERE"
Close S s
Sync
Parse s "SELECT nothing FROM users"
Close S s
Parse s "SELECT name FROM users WHERE id = 3"
Bind "" s
Execute "" 0
Sync
--
Close S s
Parse s "SELECT id FROM users WHERE id = 3"
Bind "" s
Execute "" 0
Sync`,
	"DISCARD ALL": `
Parse s "SELECT name FROM users WHERE id = 3"
Sync
Query "SET search_path = pg_temp, public"
Query "DISCARD ALL"
Bind "" s
Execute "" 0
Sync
Query "CREATE TEMP TABLE users (id int, name text)"
Parse s "SELECT name FROM users WHERE id = 3"
Bind "" s
Describe P ""
Execute "" 0
Sync`,
	"DEALLOCATE ALL": `
Parse s "SELECT name FROM users WHERE id = 3"
Parse "" "DEALLOCATE ALL"
Bind "" ""
Execute "" 0
Bind "" s
Execute "" 0
Sync
Parse s "SELECT name FROM users WHERE id = 2"
Bind "" s
Execute "" 0
Sync`,
	"EXECUTE of a protocol-level name": `
Parse s "SELECT name FROM users WHERE id = $1" 23
Sync
Query "EXECUTE s(2)"
--
Query "EXECUTE s(3)"
Query "SELECT name, statement LIKE '%users WHERE id = $1', from_sql FROM pg_prepared_statements"
Query "DEALLOCATE s"
Query "EXECUTE s(3)"`,
	"late CopyDone after an error": `
Query "COPY users FROM STDIN"
CopyData "1\tdouble\n"
CopyDone
CopyDone
Query "SELECT name FROM users WHERE id = 1"
--
Query "COPY users FROM STDIN"
CopyData "nonsense\tx\n"
CopyData "7\tx\n"
CopyDone
Sync
Query "SELECT count(*) FROM users"`,
	"CopyData outside of a COPY": `
CopyData "7\tx\n"
CopyFail no
Query "SELECT name FROM users WHERE id = 1"`,
	"COPY with extra Syncs": `
Parse "" "COPY users FROM STDIN"
Bind "" ""
Execute "" 0
Sync
CopyData "8\tx\n"
Sync
CopyDone
Sync
Query "SELECT name FROM users WHERE id = 8"`,
	"SET inside a rolled-back transaction": `
Query "BEGIN"
Query "CREATE TEMP TABLE mine (id int, name text)"
Query "SET LOCAL search_path = pg_catalog"
Query "SELECT name FROM users"
Query "ROLLBACK"
Query "SELECT name FROM users WHERE id = 2"
--
Query "BEGIN"
Query "SET search_path = pg_catalog"
Query "ROLLBACK"
Query "SHOW search_path"
Query "SELECT name FROM users WHERE id = 2"`,
	"a statement closed then reused in one pipeline": `
Parse s "SELECT name FROM users WHERE id = 1"
Bind "" s
Execute "" 0
Close S s
Parse s "SELECT id FROM users WHERE id = 2"
Bind "" s
Execute "" 0
Close S s
Bind "" s
Execute "" 0
Sync
Bind "" s
Sync`,
	"ParameterStatus in mid-stream": `
Parse "" "SET application_name = 'users'"
Bind "" ""
Execute "" 0
Parse "" "SELECT name FROM users WHERE id = 2"
Bind "" ""
Execute "" 0
Sync
Query "SET TimeZone = 'Asia/Tokyo'; SELECT 1"
Query "SELECT set_config('DateStyle', 'German', false), name FROM users WHERE id = 2"
Query "RESET ALL"
Query "SELECT name FROM users WHERE id = 2"`,
	"client_encoding": `
Query "SET client_encoding = 'LATIN1'"
Query "INSERT INTO users VALUES (20, 'caf\xe9') RETURNING name, length(name)"
Query "SELECT id, name FROM users WHERE name = 'caf\xe9'"
Query "SELECT '\xe9\xe9', nothing FROM users"
Query "SET client_encoding = 'SJIS'"
Query "INSERT INTO users VALUES (21, '\x95\x5c\x8e\xa6') RETURNING id, length(name)"
Query "SELECT '\x95\x5c', name, nothing FROM users"
Query "SELECT id FROM users WHERE name = E'\x95\x5c\x8e\xa6' /* ' */"
Query "SET client_encoding = 'EUC_JP'"
Query "SELECT id, name FROM users WHERE name = '\xc9\xbd\xbc\xa8'"
Query "SET client_encoding = 'UTF8'"
Query "SELECT id, name, length(name) FROM users WHERE id > 10 ORDER BY id"
Query "SELECT 'caf\xe9' FROM users"`,
	"standard_conforming_strings off": `
Query "SET escape_string_warning = off"
Query "SET standard_conforming_strings = off"
Query "SELECT name, 'it''s' FROM users WHERE id = 2"
Query "SELECT 'a;b', name, nothing FROM users"
Query "SELECT 1 /* ' */, 'a\\'; DROP TABLE x; SELECT \\''"
Query "SET standard_conforming_strings = on"
Query "SELECT name, 'a\\b' FROM users WHERE id = 2"`,
	"errors and Syncs anywhere": `
Parse "" "SELECT 1/0 FROM users"
Bind "" ""
Execute "" 0
Flush
Parse "" "SELECT name FROM users"
Bind "" ""
Describe P ""
Sync
Sync
Parse "" "SELECT name FROM users WHERE id = 1"
Bind "" ""
Flush
Describe P ""
Execute "" 1
Flush
Sync`,
	"empty queries and no columns": `
Query ""
Query ";;"
Query "SELECT FROM users WHERE id < 3"
Parse "" ""
Bind "" ""
Describe P ""
Execute "" 0
Parse "" "SELECT FROM users WHERE id < 3"
Bind "" ""
Describe P ""
Execute "" 0
Sync`,
	"several statements and implicit transactions": `
Query "SELECT name FROM users WHERE id = 1; SELECT 1/0; SELECT name FROM users"
Query "INSERT INTO users VALUES (30, 'x'); SELECT nothing FROM users"
Query "SELECT count(*) FROM users WHERE id = 30"
Query "BEGIN; INSERT INTO users VALUES (31, 'x'); COMMIT; SELECT 1/0"
Query "SELECT count(*) FROM users WHERE id = 31"`,
	"FunctionCall": `
Function 1397 "\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\xff\xff\xff\xfb\x00\x01"
Query "SELECT name FROM users WHERE id = 1"
Parse "" "SELECT name FROM users WHERE id = 1"
Bind "" ""
Execute "" 0
Sync`,
}

func TestPitfalls(t *testing.T) {
	db := pgtest.Database(t)
	d := openDoor(t, usersState(t, 1, false), tagPlanner{})
	epoch := int64(1000)
	for name, script := range pitfalls {
		direct, through := dial(t, pgtest.Shared().Addr(), db), dial(t, d.listener.Addr().String(), db)
		setup := "Query \"CREATE TEMP TABLE users (id int PRIMARY KEY, name text)\"\n" +
			"Query \"INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 5) i\"\n"
		for i, burst := range strings.Split(setup+"--\n"+script, "\n--\n") {
			b := frames(t, wiretest.Client, burst+"\nQuery \"\"\nSync\nQuery \"\"")
			for part := range 2 { // the second time under another state, with what the first has left
				want := direct.ask(t, b, nil, nil)
				got := through.ask(t, b, []int{len(b) / 2}, func() {
					epoch++
					d.setState(usersState(t, epoch, part == 1))
				})
				if got != want {
					t.Errorf("%s, burst %d: the server says\n%s\nand through the session it is\n%s", name, i, want, got)
				}
			}
		}
		direct.close(t)
		through.close(t)
	}
}

// What the startup packet sets is in force before the first statement.
func TestStartupSettings(t *testing.T) {
	db := database(t)
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(db)), "CREATE SCHEMA other", "CREATE TABLE other.users (id int, name text)", "INSERT INTO other.users VALUES (7, 'other')")
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	for _, how := range []string{"search_path=other", "options=-csearch_path%3Dother", "options=--search_path%3Dother%20-c%20segue.version%3Dold"} {
		conn := connect(t, d.dsn("postgres", db)+"&"+how)
		if _, err := conn.Exec(background, "SELECT * FROM users"); err != nil {
			t.Fatal(err)
		}
		if got := d.gate.last(); got != "SELECT * FROM users /* pg_catalog,other */" {
			t.Errorf("%s: planned as %q", how, got)
		}
	}
}
