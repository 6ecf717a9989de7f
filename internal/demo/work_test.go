package demo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"segue/rewrite/lens"
)

// A small table, so that the work of a test meets each row more than once.
const testRows = 4000

// binaries is the folder of the segue binary that the tests build.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "segue-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// testWorld is a server with the demo's tables and no proxy.
func testWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(t.Context(), &Options{Rows: testRows})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// alter changes the schema by plain SQL.
func alter(t *testing.T, w *world, statements ...string) {
	t.Helper()
	ctx := t.Context()
	if err := w.as(ctx, controlRole, database, func(c *pgx.Conn) error { return run(ctx, c, statements...) }); err != nil {
		t.Fatal(err)
	}
}

// the rename, done by plain SQL while nobody works.
var plainRename = []string{
	"ALTER TABLE users ADD COLUMN full_name varchar(60)",
	"UPDATE users SET full_name = name",
	"ALTER TABLE users DROP COLUMN name",
	"ALTER TABLE users ALTER full_name SET NOT NULL",
	"CREATE INDEX ON users (full_name)",
}

// the split, done by plain SQL while nobody works.
var plainSplit = []string{
	"CREATE TABLE profiles (user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE, full_name varchar(60) NOT NULL)",
	"INSERT INTO profiles SELECT id, name FROM users",
	"ALTER TABLE users DROP COLUMN name",
	"CREATE INDEX ON profiles (full_name)",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON profiles TO " + appRole,
}

func startDirect(t *testing.T, w *world, d dialect) *application {
	t.Helper()
	a, err := startApplication(t.Context(), d, w.server.DSNAs(appRole, database), 5, 1, testRows, 100_000, &writers{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.stop)
	return a
}

// until waits until a condition holds that another goroutine brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 60 s until %s", what)
		}
	}
}

// The applications are right about PostgreSQL itself: without any proxy, on the schema that each was written for, every answer agrees
// with the record, and so does the table at the end.
func TestApplicationsOnTheirOwnSchema(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect dialect
		pattern string
		plain   []string // what makes the new schema of the old one
	}{
		{"old", oldDialect, "", nil},
		{"new", newDialect, "", plainRename},
		{"new, split", splitDialect, "split", plainSplit},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := testWorld(t)
			var err error
			if w.pattern, err = patternOf(c.pattern); err != nil {
				t.Fatal(err)
			}
			seen := standing{}
			if c.plain != nil {
				alter(t, w, c.plain...)
				seen.known, seen.stage.Phase = true, lens.Complete
			}
			a := startDirect(t, w, c.dialect)
			until(t, "4,000 statements have run", func() bool { return a.meter.live().statements > 4000 })
			a.stop()
			sum, err := summarise(t.Context(), w, seen, time.Second, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range sum.Problems {
				t.Error(p)
			}
			if sum.Compared < testRows/2 {
				t.Errorf("compared %d rows only", sum.Compared)
			}
		})
	}
}

// spoil changes data or schema while applications work. It takes the table first: the order in which it would meet the rows is not theirs.
func spoil(t *testing.T, w *world, statement string) {
	t.Helper()
	alter(t, w, "BEGIN", "LOCK TABLE users IN ACCESS EXCLUSIVE MODE", statement, "COMMIT")
}

// What the applications are there for: they notice. Each case spoils something behind their backs.
func TestApplicationsNotice(t *testing.T) {
	for _, c := range []struct {
		name, spoil, want string
	}{
		{"a changed name", "UPDATE users SET name = name || '!' WHERE email NOT LIKE 'hot%'", "wrong answer"},
		{"a lost row", "DELETE FROM users WHERE id % 3 = 0 AND email NOT LIKE 'hot%'", "wrong answer"},
		{"a contended row that nobody wrote", "UPDATE users SET name = 'hot 1 by old-0 #999999999' WHERE email LIKE 'hot%'", "no writer wrote|has not written|another row"},
		{"a column more in *", "ALTER TABLE users ADD COLUMN full_name varchar(60)", "got columns|result formats|cached plan"},
		{"a column gone", "ALTER TABLE users DROP COLUMN name", "42703"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := testWorld(t)
			a := startDirect(t, w, oldDialect)
			until(t, "some statements have run", func() bool { return a.meter.live().statements > 200 })
			spoil(t, w, c.spoil)
			until(t, "the application notices", func() bool { return a.meter.live().failures > 0 })
			a.stop()
			_, firsts := a.meter.failed()
			all := strings.Join(firsts, "\n")
			for _, want := range strings.Split(c.want, "|") {
				if strings.Contains(all, want) {
					return
				}
			}
			t.Errorf("the failures do not say %q:\n%s", c.want, all)
		})
	}
}

// A row that was changed after the last look at it is found by the comparison at the end.
func TestSummaryFindsSpoiltRows(t *testing.T) {
	w := testWorld(t)
	a := startDirect(t, w, oldDialect)
	until(t, "some statements have run", func() bool { return a.meter.live().statements > 200 })
	a.stop()
	alter(t, w, "UPDATE users SET logins = -1 WHERE id = (SELECT min(id) FROM users)", "DELETE FROM users WHERE id = (SELECT max(id) FROM users WHERE email LIKE 'user%')")
	sum, err := summarise(context.Background(), w, standing{}, time.Second, a)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Wrong != 2 || len(sum.Problems) != 1 {
		t.Errorf("found %d wrong rows, want 2: %v", sum.Wrong, sum.Problems)
	}
}
