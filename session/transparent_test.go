package session

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/internal/pgtest"
	"segue/internal/wiretest"
	"segue/rewrite"
)

// tagPlanner rewrites to the same thing: it puts the epoch in a comment before the text, so that what a client sees must be what it would see
// without a proxy, in whatever way statements are prepared anew under it.
type tagPlanner struct{}

func (tagPlanner) plan(st *rewrite.State, sql string, set rewrite.Settings, _ func()) *rewrite.Plan {
	if strings.HasPrefix(sql, "EXECUTE") { // what it returns is what it did when it was parsed, so it must not be parsed anew, and need not
		return &rewrite.Plan{SQL: sql}
	}
	return &rewrite.Plan{Kind: rewrite.Rewrite, SQL: tag(st.Epoch, set) + sql, Migrations: []string{"users_full_name"}}
}

func tag(epoch int64, set rewrite.Settings) string {
	return fmt.Sprintf("/* %05d %-20.20s */", epoch%100000, strings.Join(set.Path, ","))
}

func (tagPlanner) kept(*rewrite.State, string, *rewrite.Settings) *rewrite.Plan { return nil }

func (tagPlanner) keep(*rewrite.State, string, *rewrite.Settings, *rewrite.Plan) {}

func (tagPlanner) position(_ *rewrite.Plan, server int) int {
	return server - len(tag(0, rewrite.Settings{}))
}

// TestTransparency sends the same random pipelines to the server and through a session, whose state changes all the while, and compares
// every byte that comes back. SEGUE_TRANSPARENCY=N plays N conversations instead of a few.
func TestTransparency(t *testing.T) {
	n := 40
	if v := os.Getenv("SEGUE_TRANSPARENCY"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	db := pgtest.Database(t)
	d := openDoor(t, usersState(t, 1, false), tagPlanner{})
	var newer bool
	if err := pgtest.Connect(t, pgtest.Shared().DSN(db)).QueryRow(background, "SELECT current_setting('server_version_num')::int >= 180000").Scan(&newer); err != nil {
		t.Fatal(err)
	}
	for seed := range n {
		transparent(t, d, db, uint64(seed), newer)
		if t.Failed() {
			return
		}
	}
}

// transparent plays one conversation. Servers from 18 on lose count of their transactions where a Query comes in the middle of a pipeline (18.4 says
// ReadyForQuery with T behind it, and then "StartTransactionCommand: unexpected state STARTED"): apart says that none does.
func transparent(t *testing.T, d *door, db string, seed uint64, apart bool) {
	direct, through := dial(t, pgtest.Shared().Addr(), db), dial(t, d.listener.Addr().String(), db)
	defer direct.close(t)
	defer through.close(t)
	setup := `Query "CREATE TEMP TABLE users (id int PRIMARY KEY, name text)"
Query "INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 5) i"
Query "CREATE TEMP TABLE plain (id int PRIMARY KEY, v text)"`
	r := rand.New(rand.NewPCG(seed, 1))
	epoch := int64(seed * 100)
	all := "# 0\n" + setup
	defer func() {
		if t.Failed() {
			t.Logf("seed %d: the last of\n%s\n%s", seed, all, pgtest.Shared().Log())
		}
	}()
	for i := range 12 {
		burst := setup
		if i > 0 {
			burst = strings.Join(pipeline(r), "\n")
			if apart {
				burst = strings.ReplaceAll("\n"+burst, "\nQuery ", "\nSync\nQuery ")[1:]
			}
			all += fmt.Sprintf("\n# %d\n", i) + burst
		}
		burst += "\nSync\nQuery \"\""
		b := frames(t, wiretest.Client, burst)
		var cuts []int
		for range r.IntN(4) {
			cuts = append(cuts, r.IntN(len(b)))
		}
		want := direct.ask(t, b, nil, nil)
		got := through.ask(t, b, cuts, func() {
			epoch++
			d.setState(usersState(t, epoch, r.IntN(5) == 0))
		})
		if got != want {
			t.Fatalf("the server says\n%s\nand through the session it is\n%s", want, got)
		}
	}
}

// raw is a connection that is spoken to in frames.
type raw struct {
	net.Conn
}

func dial(t *testing.T, addr, db string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(frames(t, wiretest.Client, "Startup user=postgres database="+db)); err != nil {
		t.Fatal(err)
	}
	r := &raw{c}
	for {
		if f := r.frame(t); f[0] == 'Z' {
			return r
		}
	}
}

func (r *raw) close(t *testing.T) {
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func (r *raw) frame(t *testing.T) []byte {
	t.Helper()
	h := make([]byte, 5)
	if _, err := io.ReadFull(r, h); err != nil {
		t.Fatal(err)
	}
	f := append(h, make([]byte, binary.BigEndian.Uint32(h[1:])-4)...)
	if _, err := io.ReadFull(r, f[5:]); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends a burst that ends with an empty Query, in pieces between which something happens, and gives what comes back, in lines, up to that Query's
// ReadyForQuery.
func (r *raw) ask(t *testing.T, b []byte, cuts []int, between func()) string {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		at := 0
		for _, k := range cuts {
			if k > at {
				if _, err := r.Write(b[at:k]); err != nil {
					done <- err
					return
				}
				at = k
			}
			between()
		}
		_, err := r.Write(b[at:])
		done <- err
	}()
	var out []string
	for empty := false; ; {
		f := r.frame(t)
		switch f[0] {
		case 'T': // the tables' OIDs are not the same
			for rest := f[7:]; ; {
				_, after, ok := cut(rest)
				if !ok {
					break
				}
				clear(after[:4])
				rest = after[18:]
			}
		case 'E':
			if endsSession(f[5:]) {
				t.Errorf("%q", f)
			}
		}
		out = append(out, wiretest.Lines(wiretest.Server, f)...)
		if f[0] == 'Z' && empty {
			break
		}
		empty = f[0] == 'I'
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return place.ReplaceAllString(tempSchema.ReplaceAllString(strings.Join(out, "\n"), "pg_temp"), "")
}

// What may differ: the names of temporary schemas, and the place in the server's source that gives an error.
var (
	tempSchema = regexp.MustCompile(`pg_temp_\d+`)
	place      = regexp.MustCompile(` F=\S+ L=\d+ R=\S+`)
)

// texts are the statements of the random pipelines; the first eight also make texts of two statements. (A syntax error beside a migrating table is
// not among those: where the session has to ask in the middle of a pipeline in an aborted transaction, the question fails with 25P02 before the server
// sees the text.)
var texts = []string{
	"SELECT id, name FROM users ORDER BY id LIMIT 2", "SELECT name FROM users WHERE id = 3", "UPDATE users SET name = name || 'x' WHERE id = 2 RETURNING name",
	"SELECT nothing FROM users", "INSERT INTO users VALUES (1, 'double')", "SELECT 1", "SELECT 1/0", "SELECT id FROM plain", "SYNTAX", "SELECT 1 FROM users WHERE 1/0 = id",
	"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "BEGIN /* users */", "ROLLBACK /* users */", "COMMIT /* users */",
	"SET search_path = public, pg_temp", "SET LOCAL search_path = pg_temp, public", "RESET search_path", "SELECT set_config('search_path', 'pg_temp', true)",
	"DEALLOCATE s1", "DEALLOCATE ALL", "DISCARD PLANS", "SET client_encoding = 'LATIN1'", "SET client_encoding = 'UTF8'", "SHOW search_path",
	"DEALLOCATE PREPARE \"s2\"",
}

// prepared are statements that make, run and drop prepared ones in SQL, under the names that the protocol's messages use, too.
var prepared = []string{
	"PREPARE s1 AS SELECT name FROM users WHERE id = 3", "PREPARE n2 (int) AS SELECT id, name FROM users WHERE id = $1", "/* x */ PREPARE \"n1\"(int)AS SELECT $1 FROM users",
	"PREPARE s1 AS UPDATE users SET name = name || 'y' WHERE id = 2 RETURNING name", "PREPARE s1 AS SELECT nothing FROM users", "PREPARE s2 AS SELECT 1/0 FROM users",
	"PREPARE s1 AS SELECT id FROM plain", "PREPARE x2 AS SELECT set_config('search_path', 'pg_temp', false)", "EXECUTE x2",
	"EXECUTE s1", "EXECUTE s1", "EXECUTE s2", "EXECUTE n2(3)", "EXECUTE n1(3)", "EXPLAIN (COSTS OFF) EXECUTE s1", "EXPLAIN EXECUTE nothing", "CREATE TEMP TABLE t AS EXECUTE n2 (1 + 1)",
	"DROP TABLE IF EXISTS t", "EXECUTE s1(nothing)", `EXECUTE U&"s\0031"`, `EXECUTE U&"s!0032" UESCAPE '!'`, "EXECUTE s1 -- users", "EXECUTE x1",
	"DEALLOCATE s1", "DEALLOCATE s2", "DEALLOCATE n1", "DEALLOCATE n2", "DISCARD PLANS", "SELECT name, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name",
}

// together are texts of several statements about prepared ones. In an aborted transaction those that may end it are refused.
var together = []string{
	"DEALLOCATE s1; EXECUTE s1", "EXECUTE s1; EXECUTE n2(3)", "PREPARE s1 AS SELECT id FROM plain; EXECUTE s1; DEALLOCATE s1; SELECT 1/0", "EXECUTE s1; DEALLOCATE s1",
	"DEALLOCATE n2; PREPARE n2 (int) AS SELECT $1 + id FROM plain; EXECUTE n2(3)", "SELECT 1; EXECUTE s1; EXPLAIN (COSTS OFF) EXECUTE n2(4)", "DEALLOCATE ALL; EXECUTE s1",
}

// rows is how many rows an Execute asks for. A write that is suspended is not seen by a command after it, unless another has been completed in between,
// such as one of the session's own.
func rows(parse string, n int) string {
	if !strings.Contains(parse, "SELECT") {
		n = 0
	}
	return strconv.Itoa(n)
}

// pipeline makes some messages at random. What has been pipelined ends with a Sync before COPY, which nothing else can follow without one.
func pipeline(r *rand.Rand) []string {
	name := func() string { return []string{`""`, "s1", "s2", "s1", "s2", "x1", "t1"}[r.IntN(7)] }
	portal := func() string { return []string{`""`, `""`, "p1", "p2"}[r.IntN(4)] }
	// A prepared statement that SQL's EXECUTE runs must neither drop itself nor control transactions: PostgreSQL crashes. And what
	// unsettles the settings is not among those that are run together.
	parse := func() (name, message string) {
		if r.IntN(4) == 0 {
			t := prepared[r.IntN(len(prepared))]
			name = []string{`""`, "x1"}[r.IntN(2)]
			if name != `""` && strings.Contains(t, "EXECUTE") { // run by another one, it would give what the statement gave that it was parsed for
				name = "t1"
			}
			return name, "Parse " + name + " " + strconv.Quote(t)
		}
		name = []string{`""`, "s1", "s2"}[r.IntN(3)]
		t := texts[r.IntN(len(texts))]
		if e := effectOf(t, false); name != `""` && (!e.none() || strings.HasPrefix(t, "BEGIN") || strings.HasPrefix(t, "SAVEPOINT")) {
			name = "t1"
		}
		return name, "Parse " + name + " " + strconv.Quote(t)
	}
	text := func() string { return strconv.Quote(texts[r.IntN(len(texts))]) }
	var out []string
	for range 1 + r.IntN(12) {
		switch k := r.IntN(27); {
		case k < 3:
			out = append(out, "Query "+text())
		case k < 4:
			out = append(out, "Query "+strconv.Quote(texts[r.IntN(8)]+"; "+texts[r.IntN(8)]))
		case k < 8:
			n, parse := parse()
			out = append(out, parse, "Bind "+portal()+" "+n, "Describe S "+n)
		case k < 11:
			n, parse := parse()
			p := portal()
			out = append(out, parse, "Bind "+p+" "+n, "Describe P "+p, "Execute "+p+" "+rows(parse, r.IntN(2)))
		case k < 14:
			p, n := portal(), name()
			if r.IntN(4) == 0 {
				n = []string{"n1 3", "n2 4"}[r.IntN(2)]
			}
			out = append(out, "Bind "+p+" "+n, "Execute "+p+" 0")
		case k < 15:
			out = append(out, `Parse "" "SELECT $1::int + id FROM users WHERE id = $1"`, `Bind "" "" 3`, `Execute "" 0`)
		case k < 16:
			// Not of the unnamed portal: after a Query that failed in a transaction, that one points to freed memory, and PostgreSQL may crash.
			out = append(out, "Execute "+[]string{"p1", "p2"}[r.IntN(2)]+" 0")
		case k < 17:
			out = append(out, "Close S "+name())
		case k < 18:
			out = append(out, "Close P "+portal(), "Flush")
		case k < 21:
			out = append(out, "Sync")
		case k < 24:
			out = append(out, "Query "+strconv.Quote(prepared[r.IntN(len(prepared))]))
		case k < 25:
			out = append(out, "Query "+strconv.Quote(together[r.IntN(len(together))]))
		case k < 26:
			out = append(out, "Sync", `Query "COPY plain FROM STDIN"`, `CopyData "`+strconv.Itoa(r.IntN(5))+`\tx\n"`, "CopyDone")
		default:
			out = append(out, "Sync", `Parse "" "COPY plain FROM STDIN"`, `Bind "" ""`, `Execute "" 0`)
			if r.IntN(2) == 0 {
				out = append(out, "Sync")
			}
			data := []string{strconv.Itoa(r.IntN(5)) + `\tx\n`, `bad\tx\n`}[r.IntN(2)]
			out = append(out, `CopyData "`+data+`"`, `CopyData "7\tx\n"`, []string{"CopyDone", "CopyFail no"}[r.IntN(2)], "Sync",
				`Parse "" "SELECT 1"`) // a COPY that is run again later would read what is no COPY data, which is fatal
		}
	}
	return out
}
