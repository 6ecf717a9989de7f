package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// racer is a session that does one thing in a transaction, beside another one.
type racer struct {
	*pgx.Conn
	e   *env
	pid uint32
}

func (e *env) racer() *racer {
	c := pgtest.Connect(e.t, pgtest.Shared().DSN(e.db))
	return &racer{c, e, c.PgConn().PID()}
}

func (r *racer) begin(isolation string) {
	pgtest.Exec(r.e.t, r.Conn, "BEGIN ISOLATION LEVEL "+isolation)
	if isolation != "READ COMMITTED" {
		pgtest.Exec(r.e.t, r.Conn, "SELECT count(*) FROM users") // the snapshot is taken
	}
}

// do gives what became of a statement: its tag, or the SQLSTATE.
func (r *racer) do(sql string) string {
	tag, err := r.Exec(context.Background(), sql)
	if err != nil {
		return sqlState(err)
	}
	return tag.String()
}

// end commits; a transaction that has failed is rolled back, as COMMIT does.
func (r *racer) end(outcome string) string {
	if got := r.do("COMMIT"); got != "COMMIT" && got != "ROLLBACK" {
		return got
	}
	return outcome
}

// race runs a, and b while a's transaction is open; when b waits for a, or is through, a commits, then b. It gives what became of both, and what the tables hold.
func (e *env) race(a, b *racer, isolation, sqlA, sqlB string) string {
	e.t.Helper()
	b.begin(isolation)
	a.begin(isolation)
	outA := a.do(sqlA)
	through := make(chan string, 1)
	go func() { through <- b.do(sqlB) }()
	outB := ""
	until(e.t, "the second to wait or to be through", func() bool {
		select {
		case outB = <-through:
			return true
		default:
		}
		return e.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+fmt.Sprint(b.pid)+" AND wait_event_type = 'Lock' AND "+fmt.Sprint(a.pid)+" = ANY (pg_blocking_pids(pid)))") == "true"
	})
	outA = a.end(outA)
	if outB == "" {
		outB = <-through
	}
	outB = b.end(outB)
	return outA + " | " + outB + " | " + e.content()
}

// oneAfterTheOther is the same without a race.
func (e *env) oneAfterTheOther(a, b *racer, isolation, sqlA, sqlB string) string {
	a.begin(isolation)
	outA := a.end(a.do(sqlA))
	b.begin(isolation)
	outB := b.end(b.do(sqlB))
	return outA + " | " + outB + " | " + e.content()
}

const racing = "TRUNCATE users, addresses; INSERT INTO users VALUES (1, 'x', 'a'), (2, 'x', 'b'), (3, 'x', NULL)"

// oldWrites and newWrites are what either code does to a row, as the proxies send it.
var oldWrites = []string{
	"UPDATE users SET address = 'old' WHERE id = 2",
	"UPDATE users SET address = NULL WHERE id = 2",
	"UPDATE users SET address = 'old' WHERE id = 2 AND address = 'b'",
	"UPDATE users SET address = 'old' WHERE id = 3",
	"DELETE FROM users WHERE id = 2",
	"UPDATE users SET id = 9 WHERE id = 2",
	"INSERT INTO users VALUES (4, 'x', 'old')",
	"INSERT INTO users VALUES (2, 'x', 'old') ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address",
}

var newWrites = []string{
	"UPDATE addresses SET address = 'new' WHERE user_id = 2 AND segue.lock_user_addresses(user_id)",
	"UPDATE addresses SET address = 'new' WHERE user_id = 2 AND address = 'b' AND segue.lock_user_addresses(user_id)",
	"UPDATE addresses SET note = 'new' WHERE user_id = 2 AND segue.lock_user_addresses(user_id)",
	"DELETE FROM addresses WHERE user_id = 2 AND segue.lock_user_addresses(user_id)",
	"UPDATE addresses SET user_id = 3 WHERE user_id = 2 AND segue.lock_user_addresses(user_id) AND segue.lock_user_addresses(3)",
	"INSERT INTO addresses VALUES (3, 'new')",
	"INSERT INTO addresses VALUES (4, 'new')",
	"INSERT INTO addresses VALUES (2, 'new') ON CONFLICT (user_id) DO UPDATE SET address = EXCLUDED.address",
	"DELETE FROM users WHERE id = 3 AND segue.alone_user_addresses(id)",
	"INSERT INTO users VALUES (4, 'x', NULL)",
}

// TestSplitRaces has every write of old code meet every write of new code on the same row, in both orders, at all isolation levels: what comes of it is what comes of one after the other, or
// from REPEATABLE READ on, a clean 40001 of the later one. Nobody is deadlocked.
func TestSplitRaces(t *testing.T) {
	for foreign, isolations := range map[string][]string{"": {"READ COMMITTED", "REPEATABLE READ"}, "ON DELETE CASCADE ON UPDATE CASCADE": {"READ COMMITTED", "SERIALIZABLE"}} {
		t.Run("foreign key "+foreign, func(t *testing.T) {
			e := newEnv(t, emptyUsers)
			p := e.proxy(0)
			p.split(splitWith(foreign))
			p.splitTo(lens.SwitchReads)
			a, b := e.racer(), e.racer()
			serial := map[string]string{}
			after := func(isolation, first, second string) string {
				key := first + "\n" + second
				if serial[key] == "" {
					e.exec(racing)
					serial[key] = e.oneAfterTheOther(a, b, isolation, first, second)
				}
				return serial[key]
			}
			lost := 0
			for _, isolation := range isolations {
				for _, pair := range crossed(oldWrites, newWrites) {
					e.exec(racing)
					got := e.race(a, b, isolation, pair[0], pair[1])
					e.agreed()
					forth, back := after(isolation, pair[0], pair[1]), swapped(after(isolation, pair[1], pair[0]))
					if got == forth || got == back {
						continue
					}
					if isolation != "READ COMMITTED" && strings.Contains(got, "| 40001 |") {
						lost++
						continue
					}
					t.Errorf("%s:\n%s\n%s\ngave %s\nnot  %s\nnor  %s", isolation, pair[0], pair[1], got, forth, back)
				}
			}
			if lost == 0 {
				t.Error("no transaction was turned away, so they did not meet")
			}
		})
	}
}

// crossed pairs each with each, in both orders.
func crossed(x, y []string) (out [][2]string) {
	for _, a := range x {
		for _, b := range y {
			out = append(out, [2]string{a, b}, [2]string{b, a})
		}
	}
	return out
}

// swapped gives an outcome with the second's before the first's.
func swapped(outcome string) string {
	parts := strings.Split(outcome, " | ")
	parts[0], parts[1] = parts[1], parts[0]
	return strings.Join(parts, " | ")
}

// TestSplitBackfillRaces has every write of old code meet the backfill on rows that are not filled, in both orders.
func TestSplitBackfillRaces(t *testing.T) {
	for _, foreign := range []string{"", "ON DELETE CASCADE"} {
		t.Run("foreign key "+foreign, func(t *testing.T) {
			e := newEnv(t, emptyUsers)
			p := e.proxy(0)
			p.split(splitWith(foreign))
			a, b := e.racer(), e.racer()
			m, err := readMigration(context.Background(), e.super, "user_addresses")
			if err != nil {
				t.Fatal(err)
			}
			s, err := readSplit(context.Background(), e.super, m)
			if err != nil {
				t.Fatal(err)
			}
			fill := s.fillSQL("true")
			unfilled := []string{"SET session_replication_role = replica", "ALTER TABLE users DISABLE TRIGGER USER", racing, "ALTER TABLE users ENABLE TRIGGER USER"}
			for _, t := range s.triggers() {
				if t.table == s.table {
					unfilled = append(unfilled, "ALTER TABLE users ENABLE ALWAYS TRIGGER "+t.name)
				}
			}
			unfilled = append(unfilled, "RESET session_replication_role")
			turned := 0
			for _, isolation := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
				for _, w := range oldWrites {
					for _, first := range []bool{true, false} {
						e.exec(unfilled...)
						e.want("SELECT count(*) FROM addresses", "0")
						var got string
						if first {
							got = e.race(&racer{a.Conn, e, a.pid}, b, isolation, w, fill)
						} else {
							got = e.race(a, b, isolation, fill, w)
						}
						turned += strings.Count(got, "40001")
						if strings.Contains(got, "40P01") || isolation == "READ COMMITTED" && strings.Contains(got, "40001") {
							t.Errorf("%s, %s: %s", isolation, w, got)
						}
						// Nothing is there that should not be; what the backfill has not seen, it fills when it comes by.
						e.want("SELECT count(*) FROM addresses a LEFT JOIN users u ON u.id = a.user_id WHERE u.address IS DISTINCT FROM a.address", "0")
						if got := a.do(fill); !strings.HasPrefix(got, "INSERT") {
							t.Fatal(got)
						}
						e.agreed()
					}
				}
			}
			if turned == 0 {
				t.Error("no transaction was turned away, so they did not meet")
			}
		})
	}
}

// whileWaiting runs sql, and, when that waits for a lock or is through, then; it gives what became of both.
func (e *env) whileWaiting(b *racer, sql string, then func() string) (out, first string) {
	e.t.Helper()
	through := make(chan string, 1)
	go func() { through <- b.do(sql) }()
	until(e.t, "the statement to wait or to be through", func() bool {
		select {
		case out = <-through:
			return true
		default:
		}
		return e.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+fmt.Sprint(b.pid)+" AND wait_event_type = 'Lock')") == "true"
	})
	first = then()
	if out == "" {
		out = <-through
	}
	return out, first
}

// TestSplitLocksTheSourceFirst has new code write a row whose source is locked by a transaction that will write it: new code waits before it has locked anything that this one needs. Where that
// transaction deletes the source and gives its key again, the row that has it then is locked.
func TestSplitLocksTheSourceFirst(t *testing.T) {
	e := newEnv(t, emptyUsers)
	p := e.proxy(0)
	p.split(splitWith("ON DELETE CASCADE"))
	p.splitTo(lens.SwitchReads)
	a, b := e.racer(), e.racer()
	for _, old := range oldWrites[:5] {
		for _, write := range newWrites {
			e.exec(racing)
			a.begin("READ COMMITTED")
			b.begin("READ COMMITTED")
			a.do("SELECT FROM users WHERE id IN (2, 3) FOR UPDATE")
			out, first := e.whileWaiting(b, write, func() string { return a.end(a.do(old)) })
			out = b.end(out)
			if strings.Contains(first+out, "40P01") {
				t.Errorf("%s\n%s\ngave %s and %s", old, write, first, out)
			}
			e.agreed()
		}
	}

	e.exec(racing)
	a.begin("READ COMMITTED")
	b.begin("READ COMMITTED")
	a.do("DELETE FROM users WHERE id = 2")
	a.do("INSERT INTO users VALUES (2, 'x', 'again')")
	out, _ := e.whileWaiting(b, "SELECT segue.lock_user_addresses(2)", func() string { return a.end("") })
	if got := a.do("SELECT FROM users WHERE id = 2 FOR NO KEY UPDATE NOWAIT"); out != "SELECT 1" || got != "55P03" {
		t.Errorf("the row that has the key of the one that was waited for can be locked (%s, %s)", out, got)
	}
	b.end("")
}
