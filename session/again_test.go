package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// againDatabase makes a database whose table has the unique indexes of both sides. Its trigger stands for another session that is faster: it raises what the other
// side's index would, for as many INSERTs as the sequence is short of 1000.
func againDatabase(t *testing.T) (name string, admin *pgx.Conn, st *rewrite.State) {
	t.Helper()
	name = pgtest.Database(t)
	admin = pgtest.Connect(t, pgtest.Shared().DSN(name))
	pgtest.Exec(t, admin,
		"CREATE TABLE users (id int PRIMARY KEY, name text UNIQUE, email text CHECK (email <> 'bad'), full_name text UNIQUE)",
		"CREATE TABLE plain (id int)",
		"CREATE SEQUENCE falls",
		`CREATE FUNCTION fall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('falls') < 1000 THEN
				RAISE EXCEPTION USING ERRCODE = '23505', MESSAGE = 'falls', DETAIL = format('Key (full_name)=(%s) already exists.', NEW.name), TABLE = 'users';
			END IF;
			RETURN NEW;
		END $$`,
		"CREATE TRIGGER fall BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fall()")
	var oid uint32
	if err := admin.QueryRow(background, "SELECT 'users'::regclass::oid").Scan(&oid); err != nil {
		t.Fatal(err)
	}
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	users := &catalog.Relation{OID: oid, Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
		{Name: "id", Num: 1, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true},
		{Name: "name", Num: 2, Type: text},
		{Name: "email", Num: 3, Type: text},
		{Name: "full_name", Num: 4, Type: text},
	}}
	st, err := rewrite.NewState(1, catalog.New([]*catalog.Relation{users}, nil, nil), []rewrite.Migration{{
		Definition: &lens.Definition{
			Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
		},
		Stage: lens.Stage{Phase: lens.Contract, Step: lens.BothUnique, Proved: true}, OldNums: map[string]int16{"name": 2}, Seq: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return name, admin, st
}

// talk sends messages through a door, one pipeline after the other or all at once, and gives the replies as text.
func talk(t *testing.T, d *door, db string, atOnce bool, chunk int, messages []pgproto3.FrontendMessage) []string {
	t.Helper()
	nc, err := net.Dial("tcp", d.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	front := pgproto3.NewFrontend(nc, chunks{nc, chunk})
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "postgres", "database": db}})
	var out []string
	read := func(cycles int) {
		t.Helper()
		if err := front.Flush(); err != nil {
			t.Fatal(err)
		}
		for cycles > 0 {
			m, err := front.Receive()
			if err != nil {
				t.Fatalf("after %q: %v", out, err)
			}
			if _, ready := m.(*pgproto3.ReadyForQuery); ready {
				cycles--
			}
			switch m := m.(type) {
			case *pgproto3.ErrorResponse:
				out = append(out, fmt.Sprintf("error %s %s %s %d", m.Code, m.Message, m.Detail, m.Position))
			case *pgproto3.RowDescription:
				s := "row"
				for _, f := range m.Fields {
					s += " " + string(f.Name)
				}
				out = append(out, s)
			default:
				out = append(out, fmt.Sprintf("%T %+v", m, m))
			}
		}
	}
	read(1)
	out = nil
	pending := 0
	for _, m := range messages {
		front.Send(m)
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			if pending++; !atOnce {
				read(pending)
				pending = 0
			}
		}
	}
	read(pending)
	return out
}

// chunks writes so many bytes at a time.
type chunks struct {
	io.Writer
	n int
}

func (c chunks) Write(b []byte) (int, error) {
	for part := range slices.Chunk(b, c.n) {
		if _, err := c.Writer.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

type msgs = []pgproto3.FrontendMessage

func q(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }

func bound(statement, portal string, args ...string) pgproto3.FrontendMessage {
	b := &pgproto3.Bind{PreparedStatement: statement, DestinationPortal: portal}
	for _, a := range args {
		b.Parameters = append(b.Parameters, []byte(a))
	}
	return b
}

// many makes portals.
func many(n int) msgs {
	out := msgs{&pgproto3.Parse{Name: "s", Query: upsert}}
	for i := range n {
		out = append(out, bound("s", fmt.Sprintf("p%d", i)))
	}
	return out
}

const upsert = "INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (name) DO UPDATE SET email = 'again' RETURNING id, name, email"

// TestAgainIsUnseen has the same conversations with and without statements that have to be sent again: the client cannot tell.
func TestAgainIsUnseen(t *testing.T) {
	db, admin, st := againDatabase(t)
	d := openDoor(t, st, nil)
	parse := &pgproto3.Parse{Name: "s", Query: "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET email = $2 RETURNING name, id"}
	execute, sync, flush := &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Flush{}
	describe := &pgproto3.Describe{ObjectType: 'P'}
	ext := func(sql string, limit uint32) msgs {
		return msgs{&pgproto3.Parse{Query: sql}, bound("", ""), &pgproto3.Execute{MaxRows: limit}}
	}
	for _, c := range []struct {
		name string
		say  msgs
	}{
		{"query", msgs{q(upsert), q(upsert), q("SELECT name, email FROM users")}},
		{"block", msgs{q("BEGIN"), q(upsert), q(upsert), q("COMMIT"), q("SELECT name, email FROM users")}},
		{"savepoints", msgs{q("BEGIN"), q("SAVEPOINT a"), q(upsert), q("ROLLBACK TO a"), q(upsert), q("RELEASE a"), q(`RELEASE "segue again"`), q("COMMIT"), q("SELECT name FROM users")}},
		{"an error of its own", msgs{q("BEGIN"), q("INSERT INTO users (id, name, email) VALUES (1, 'b', 'bad') ON CONFLICT (name) DO NOTHING"), q(upsert), q("COMMIT"), q(upsert)}},
		{"execute", msgs{q("PREPARE p AS " + upsert), q("EXECUTE p"), q("BEGIN"), q("EXECUTE p"), q("EXECUTE p"), q("COMMIT")}},
		{"extended", append(msgs{parse, bound("s", "", "1", "a"), describe, execute, sync}, bound("s", "", "2", "b"), describe, execute, sync)},
		{"prepared before", msgs{parse, sync, bound("s", "", "1", "a"), execute, sync, bound("s", "x", "1", "a"), &pgproto3.Execute{Portal: "x"}, sync}},
		{"flushed", msgs{parse, bound("s", "", "1", "a"), flush, describe, execute, flush, sync}},
		{"pipeline in a block", msgs{
			q("BEGIN"), parse, bound("s", "", "1", "a"), execute, bound("s", "y", "2", "b"), &pgproto3.Execute{Portal: "y"}, bound("s", "", "1", "b"), execute, sync,
			q("SELECT id, name, email FROM users ORDER BY id"), q("COMMIT"),
		}},
		{"an open portal", append(append(msgs{
			q("BEGIN"), &pgproto3.Parse{Name: "g", Query: "SELECT generate_series(1, 3)"}, bound("g", "c"), &pgproto3.Execute{Portal: "c", MaxRows: 1},
			parse, bound("s", "", "1", "a"), execute, &pgproto3.Execute{Portal: "c", MaxRows: 1},
		}, ext(upsert, 0)...), &pgproto3.Execute{Portal: "c"}, sync, q("COMMIT"))},
		{"a suspended portal", append(append(msgs{q("BEGIN")}, ext("INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b') ON CONFLICT (name) DO NOTHING RETURNING id", 1)...), execute, sync, q("COMMIT"))},
		{"block by the extended protocol", append(append(append(append(ext("BEGIN", 0), sync), ext(upsert, 0)...), sync), append(ext("COMMIT", 0), sync)...)},
		{"pipelines and an error", append(append(append(msgs{parse, bound("s", "", "1", "a"), execute, sync}, ext("SELECT 1/0", 0)...), bound("s", "", "3", "c"), execute, sync), bound("s", "", "2", "b"), execute, sync)},
	} {
		for _, atOnce := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, at once %v", c.name, atOnce), func(t *testing.T) {
				var want []string
				for _, falls := range []int{0, 1, 3} {
					chunk := map[int]int{0: 1 << 20, 1: 7, 3: 1}[falls]
					pgtest.Exec(t, admin, "TRUNCATE users", fmt.Sprintf("SELECT setval('falls', %d, false)", 1000-falls))
					got := talk(t, d, db, atOnce, chunk, c.say)
					if falls == 0 {
						want = got
						continue
					}
					if !slices.Equal(got, want) {
						t.Errorf("with %d falls:\n%s\nwithout:\n%s", falls, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					var n int
					if err := admin.QueryRow(background, "SELECT nextval('falls')").Scan(&n); err != nil || n <= 1000 {
						t.Errorf("the trigger did not fall %d times: %d, %v", falls, n, err)
					}
				}
			})
		}
	}
}

// TestAgainIsNotPossible has what cannot be sent again: the client gets the error, by its own names.
func TestAgainIsNotPossible(t *testing.T) {
	db, admin, st := againDatabase(t)
	d := openDoor(t, st, nil)
	const met = "error 23505 falls Key (name)=(a) already exists. 0"
	for _, c := range []struct {
		name  string
		falls int
		calls int // how often the trigger is called
		say   msgs
	}{
		{"too often", 500, maxAgain + 1, msgs{q(upsert)}},
		{"other statements beside it", 1, 1, msgs{q("INSERT INTO plain VALUES (1); " + upsert)}},
		{"work before it in the implicit transaction", 1, 1, msgs{
			&pgproto3.Parse{Query: "INSERT INTO plain VALUES (1)"}, bound("", ""), &pgproto3.Execute{}, &pgproto3.Parse{Query: upsert}, bound("", ""), &pgproto3.Execute{}, &pgproto3.Sync{},
		}},
		{"too many portals before it", 1, 1, append(append(msgs{q("BEGIN")}, many(maxHeld+1)...), &pgproto3.Execute{Portal: "p0"}, &pgproto3.Sync{}, q("ROLLBACK"))},
		{"no ON CONFLICT", 1, 1, msgs{q("INSERT INTO users (id, name) VALUES (1, 'a')")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pgtest.Exec(t, admin, "TRUNCATE users, plain", fmt.Sprintf("SELECT setval('falls', %d, false)", 1000-c.falls))
			if got := talk(t, d, db, true, 1<<20, c.say); !slices.Contains(got, met) {
				t.Errorf("the client got\n%s", strings.Join(got, "\n"))
			}
			var n, rows int
			if err := admin.QueryRow(background, "SELECT nextval('falls'), (SELECT count(*) FROM plain)").Scan(&n, &rows); err != nil || n != 1000-c.falls+c.calls || rows != 0 {
				t.Errorf("the trigger was called %d times, and %d rows are there; %v", n-1000+c.falls, rows, err)
			}
		})
	}
}

// TestAgainAndTheState has a state come while a statement is sent again: it takes effect when that is done.
func TestAgainAndTheState(t *testing.T) {
	db, admin, st := againDatabase(t)
	d := openDoor(t, st, nil)
	conn := connect(t, d.dsn("postgres", db))
	pgtest.Exec(t, admin, "SELECT setval('falls', 998, false)")
	if _, err := conn.Exec(background, upsert, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(background, "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.sessions {
		c.mu.Lock()
		if !c.s.AtBoundary() {
			t.Error("the session is not at a boundary after a statement that was sent again")
		}
		c.mu.Unlock()
	}
}

// TestAgainAfterDeadlock forces the deadlock of two upserts that only two unique indexes make: one has found no row, and inserts; meanwhile the row comes, and the
// other one updates it. The first is in the index that both infer, and waits in the other index for the second, who waits in the first index for it.
func TestAgainAfterDeadlock(t *testing.T) {
	db, admin, st := againDatabase(t)
	d := openDoor(t, st, nil)
	// Indexes are filled in the order of their OIDs: the first holds whoever comes with a lock's number, until that lock is free.
	pgtest.Exec(t, admin,
		`CREATE FUNCTION pass(email text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
			IF email LIKE 'lock %' THEN
				PERFORM pg_advisory_xact_lock_shared(split_part(email, ' ', 2)::int);
			END IF;
			RETURN email;
		END $$`,
		"ALTER TABLE users DROP CONSTRAINT users_name_key, DROP CONSTRAINT users_full_name_key",
		"CREATE INDEX passed ON users (pass(email))",
		"ALTER TABLE users ADD UNIQUE (name), ADD UNIQUE (full_name)",
		"SELECT setval('falls', 1000)",
		"ALTER DATABASE "+db+" SET deadlock_timeout = '200ms'")
	is := func(want int, sql string) {
		t.Helper()
		tick, deadline := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
		defer tick.Stop()
		for {
			var n int
			if err := admin.QueryRow(background, sql).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n == want {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s gives %d, not %d", sql, n, want)
			}
		}
	}
	const waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND locktype = 'advisory'"
	const put = "INSERT INTO users (id, name, email) VALUES ($1, 'k', $2) ON CONFLICT (name) DO UPDATE SET email = $2"
	deadlocks := 0
	for _, inside := range []bool{false, true} {
		pgtest.Exec(t, admin, "TRUNCATE users", "SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
		var done [2]chan error
		start := func(i int) {
			conn := connect(t, d.dsn("postgres", db))
			done[i] = make(chan error, 1)
			go func() {
				defer func() { _ = conn.Close(background) }() // then the server counts
				run := func(sql string, args ...any) error {
					_, err := conn.Exec(background, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
					return err
				}
				if !inside {
					done[i] <- run(put, i+1, fmt.Sprint("lock ", i+1))
					return
				}
				done[i] <- errors.Join(run("BEGIN"), run(put, i+1, fmt.Sprint("lock ", i+1)), run("COMMIT"))
			}()
		}
		start(0)
		is(1, waiting)
		pgtest.Exec(t, admin, "INSERT INTO users VALUES (10, 'k', 'x', 'k')")
		start(1)
		is(2, waiting)
		pgtest.Exec(t, admin, "SELECT pg_advisory_unlock(1)")
		is(1, waiting)
		is(1, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
		pgtest.Exec(t, admin, "SELECT pg_advisory_unlock(2)")
		for i := range done {
			if err := <-done[i]; err != nil {
				t.Errorf("inside a block %v, client %d: %v", inside, i, err)
			}
		}
		deadlocks++
		is(deadlocks, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
		is(1, "SELECT count(*) FROM users WHERE name = 'k' AND full_name = 'k' AND email LIKE 'lock _'")
	}
}
