package oracle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// keys are what the transactions of TestSplitTogether are about: each about one of them, so that none waits for another that waits for it, unless the two tables of a
// split are locked in different orders.
const keys = 3

// together are the statements that are made transactions of, of old and of new code; $1 is the key, {k} its column in the old table and {r} the one in the new table, and {n} a number. A transaction ends with FOR SHARE: two that went on to write what both have locked
// so would wait for each other on the application's own schema, too.
var together = [2][]string{
	{
		"UPDATE users SET address = 'old {n}' WHERE {k} = $1",
		"UPDATE users SET address = NULL, phone = NULL WHERE {k} = $1",
		"UPDATE users SET address = address || '.', age = {n} WHERE {k} = $1 AND length(address) < 30",
		"UPDATE users SET age = age + 1 WHERE {k} = $1",
		"UPDATE users SET phone = '{n}' WHERE {k} = $1 AND address IS NOT NULL",
		"SELECT address FROM users WHERE {k} = $1 FOR UPDATE",
		"DELETE FROM users WHERE {k} = $1",
		"INSERT INTO users ({k}, address) VALUES ($1, 'made {n}') ON CONFLICT ({k}) DO UPDATE SET address = EXCLUDED.address",
	},
	{
		"UPDATE addresses SET address = 'new {n}' WHERE {r} = $1",
		"UPDATE addresses a SET number = u.age::text FROM users u WHERE u.{k} = a.{r} AND u.{k} = $1 AND u.age IS NOT NULL",
		"UPDATE addresses SET address = 'x {n}' WHERE {r} = $1 AND address LIKE 'old%'",
		"UPDATE addresses SET number = '{n}' WHERE {r} IN (SELECT {k} FROM users WHERE {k} = $1)",
		"DELETE FROM addresses WHERE {r} = $1",
		"INSERT INTO addresses ({r}, address) SELECT {k}, 'new {n}' FROM users WHERE {k} = $1 ON CONFLICT ({r}) DO UPDATE SET address = EXCLUDED.address",
		"INSERT INTO addresses ({r}, address) SELECT {k}, 'new {n}' FROM users WHERE {k} = $1 ON CONFLICT DO NOTHING",
		"MERGE INTO addresses USING (SELECT {k} FROM users WHERE {k} = $1) u ON u.{k} = {r} WHEN MATCHED AND address LIKE 'new%' THEN DELETE WHEN MATCHED THEN UPDATE SET address = 'merged {n}'",
		"SELECT address FROM addresses WHERE {r} = $1 FOR UPDATE",
		"SELECT * FROM addresses a JOIN users u ON u.{k} = a.{r} WHERE u.{k} = $1 FOR SHARE OF a",
		"SELECT {r} FROM addresses WHERE {r} = $1 ORDER BY address LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
		"UPDATE users SET age = {n} WHERE {k} = $1",
		"DELETE FROM users WHERE {k} = $1",
		"INSERT INTO users ({k}) VALUES ($1) ON CONFLICT DO NOTHING",
	},
}

// keyedBy is a split of users by a key that is not the primary key, whose new table has a key of its own besides.
func keyedBy(typ, foreign string) *lens.Definition {
	return &lens.Definition{Name: "users_by_code", Table: lens.TableName{Schema: "public", Name: "users"}, SplitTable: &lens.SplitTable{
		To: lens.TableName{Schema: "public", Name: "addresses"}, Key: map[string]string{"code": "user_code"}, Columns: map[string]string{"address": "address", "phone": "number"},
		Create: "CREATE TABLE public.addresses (id bigserial PRIMARY KEY, user_code " + typ + " NOT NULL UNIQUE REFERENCES public.users (code) " + foreign + ", address varchar(40), number text)",
	}}
}

// keyedTable gives the statements that make the table that it splits.
func keyedTable(typ, keys string) []string {
	return []string{
		"CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address varchar(40), code " + typ + " NOT NULL UNIQUE, phone text, age int)",
		"INSERT INTO users (code, address) SELECT k, 'seed' FROM unnest('" + keys + "'::" + typ + "[]) k",
	}
}

// TestSplitTogether has clients of old and new code write the same few rows through proxies at once, in transactions of up to three statements. None may end in a deadlock, since the tables'
// rows are locked in one order; and at the end the tables must say the same.
func TestSplitTogether(t *testing.T) {
	number := func(key int) any { return key }
	const uuids = "{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002,00000000-0000-0000-0000-000000000003}"
	for _, c := range []struct {
		name, key, ref string
		tables         []string
		def            *lens.Definition
		value          func(key int) any
		turns          int
	}{
		{Cascading.Name, "id", "user_id", tablesOf(&Cascading), Cascading.Definition(), number, 120},
		{Referring.Name, "id", "user_id", tablesOf(&Referring), Referring.Definition(), number, 120},
		{"text", "code", "user_code", keyedTable("text", "{k1,k2,k3}"), keyedBy("text", "ON DELETE CASCADE"), func(key int) any { return fmt.Sprint("k", key) }, 40},
		{"uuid", "code", "user_code", keyedTable("uuid", uuids), keyedBy("uuid", ""), func(key int) any { return pgtype.UUID{Bytes: [16]byte{15: byte(key)}, Valid: true} }, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := context.Background()
			direct, connect, _ := switchedTo(t, c.tables, c.def)
			var done sync.WaitGroup
			for i := range 6 {
				side := Side(i % 2)
				conn := connect(side)
				rnd := rand.New(rand.NewPCG(7, uint64(i)))
				done.Go(func() {
					for n := range c.turns {
						text := strings.NewReplacer("{k}", c.key, "{r}", c.ref, "{n}", fmt.Sprint(n))
						if err := oneTogether(ctx, conn, rnd, side, text, c.value); err != nil {
							t.Errorf("%s code, transaction %d: %v", side, n, err)
						}
					}
				})
			}
			done.Wait()
			agreeingBy(t, direct, c.key, c.ref)
		})
	}
}

// tablesOf gives the statements that make a variant's tables, with its rows, before it is split.
func tablesOf(v *Variant) []string {
	return append(v.splitTables(OldSide), v.splitSeed(false, false)...)
}

// splitSwitched starts a split and brings it to switch-reads. It gives a connection to the database itself, and what connects code of a side to a proxy.
func splitSwitched(t *testing.T, v *Variant) (direct *pgx.Conn, connect func(version any) *pgx.Conn, l *liveWorld) {
	t.Helper()
	return switchedTo(t, tablesOf(v), v.Definition())
}

func switchedTo(t *testing.T, tables []string, def *lens.Definition) (direct *pgx.Conn, connect func(version any) *pgx.Conn, l *liveWorld) {
	t.Helper()
	ctx := context.Background()
	name := pgtest.Database(t)
	direct = pgtest.Connect(t, pgtest.Shared().DSN(name))
	pgtest.Exec(t, direct, tables...)
	addr, control := startProxy(t, pgtest.Shared().DSN(name))
	l = &liveWorld{t: t, control: control}
	to := lens.SwitchReads
	if err := control.Start(ctx, def, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	l.settle(func(ms []migrate.MigrationStatus) bool { return len(ms) == 1 && ms[0].Phase == lens.DualWrite })
	if err := control.Advance(ctx, def.Name, proxy.AdvanceOptions{To: &to}); err != nil {
		t.Fatal(err)
	}
	l.settle(func(ms []migrate.MigrationStatus) bool { return ms[0].Phase == to })
	return direct, func(version any) *pgx.Conn {
		t.Helper()
		return pgtest.Connect(t, fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", addr, name, version))
	}, l
}

// agreeing fails the test where the two tables do not say the same.
func agreeing(t *testing.T, direct *pgx.Conn) {
	t.Helper()
	agreeingBy(t, direct, "id", "user_id")
}

func agreeingBy(t *testing.T, direct *pgx.Conn, key, ref string) {
	t.Helper()
	rows, err := direct.Query(context.Background(), splitApart(key, ref))
	if err != nil {
		t.Fatal(err)
	}
	apart, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(apart) > 0 {
		t.Errorf("of the keys %q the tables do not say the same", apart)
	}
}

// swaps are what two clients of old and two of new code try at once: to take what is free.
var swaps = [2]string{
	"UPDATE users SET address = 'taken by old code' WHERE id = 2 AND address = 'free'",
	"UPDATE addresses SET address = 'taken by new code' WHERE user_id = 2 AND address = 'free'",
}

// TestSplitSwap has clients of both sides compare and swap one value at once: one of them gets it, at READ COMMITTED always, and at the others at most one, since PostgreSQL may give all
// of them but the first 40001.
func TestSplitSwap(t *testing.T) {
	ctx := context.Background()
	direct, connect, _ := splitSwitched(t, &Cascading)
	conns := []*pgx.Conn{connect(OldSide), connect(NewSide), connect(OldSide), connect(NewSide)}
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
		for range 40 {
			pgtest.Exec(t, direct, "UPDATE users SET address = 'free' WHERE id = 2")
			var took [4]int64
			var all sync.WaitGroup
			for i, conn := range conns {
				all.Go(func() {
					var err error
					if took[i], err = swap(ctx, conn, level, swaps[i%2]); err != nil {
						t.Errorf("%s, %s: %v", level, swaps[i%2], err)
					}
				})
			}
			all.Wait()
			if n := took[0] + took[1] + took[2] + took[3]; n > 1 || n == 0 && level == "READ COMMITTED" {
				t.Errorf("at %s the value was taken by %d of the clients (%d)", level, n, took)
			}
		}
		agreeing(t, direct)
	}
}

// swap runs a statement in a transaction, and gives how many rows it changed: none where PostgreSQL takes it back.
func swap(ctx context.Context, conn *pgx.Conn, level, sql string) (int64, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.TxIsoLevel(strings.ToLower(level))})
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, sql)
	if err == nil {
		err = tx.Commit(ctx)
	} else if back := tx.Rollback(ctx); back != nil {
		return 0, back
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "40001" && level != "READ COMMITTED" {
		return 0, nil
	}
	return tag.RowsAffected(), err
}

// oneTogether runs one transaction. What the schema forbids is no error: a key that is gone, or has a row that refers to it.
func oneTogether(ctx context.Context, conn *pgx.Conn, rnd *rand.Rand, side Side, text *strings.Replacer, value func(key int) any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	level := levels[rnd.IntN(len(levels))]
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil {
		return err
	}
	key := value(1 + rnd.IntN(keys))
	for range 1 + rnd.IntN(3) {
		sql := together[side][rnd.IntN(len(together[side]))]
		began := time.Now()
		if _, err := tx.Exec(ctx, text.Replace(sql), pgx.QueryExecModeExec, key); err != nil {
			var pg *pgconn.PgError
			if errors.As(err, &pg) && (pg.Code == "23503" || pg.Code == "23505") {
				break
			}
			if back := tx.Rollback(ctx); back != nil || tooLate(err, level) {
				return back
			}
			return fmt.Errorf("at %s, %s, after %s: %w", level, sql, time.Since(began), err)
		}
		if strings.Contains(sql, "FOR SHARE") {
			break
		}
	}
	if err := tx.Commit(ctx); err != nil && !errors.Is(err, pgx.ErrTxCommitRollback) && !tooLate(err, level) {
		return err
	}
	return nil
}

// levels are what a transaction of TestSplitTogether is begun at: most often as most are.
var levels = []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.ReadCommitted, pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable}

// tooLate says that PostgreSQL has taken a transaction back whose snapshot is too old for what it was to do.
func tooLate(err error, level pgx.TxIsoLevel) bool {
	var pg *pgconn.PgError
	return level != pgx.ReadCommitted && errors.As(err, &pg) && pg.Code == "40001"
}

// TestSplitBesideOthers renames a column of a table that is being split, to its end: code of each version, and of one that knows the split and not the rename, works meanwhile, and
// rows are locked by the old table's other columns as they come and go.
func TestSplitBesideOthers(t *testing.T) {
	ctx := context.Background()
	direct, connect, l := splitSwitched(t, &Cascading)
	const split, rename = "users_full_name", "users_mail"
	at := func(p lens.Phase) {
		t.Helper()
		l.settle(func(ms []migrate.MigrationStatus) bool { return len(ms) == 2 && ms[1].Phase == p })
	}
	if err := l.control.Start(ctx, &lens.Definition{Name: rename, Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "email", To: "mail"}}, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	at(lens.DualWrite)
	sessions := []struct {
		conn               *pgx.Conn
		email              string // what the code calls it
		star               string // the columns of users
		write, read, locks string
	}{
		{connect(lens.Old), "email", "id address phone email age created_at", "UPDATE users SET address = $1 WHERE id = 2", "SELECT address FROM users WHERE id = 2", "SELECT address FROM users WHERE id = 2 FOR UPDATE"},
		{connect(split), "email", "id email age created_at", "UPDATE addresses SET address = $1 WHERE user_id = 2", "SELECT address FROM addresses WHERE user_id = 2", "SELECT address FROM addresses WHERE user_id = 2 FOR UPDATE"},
		{connect(lens.New), "mail", "", "UPDATE addresses SET address = $1 FROM users WHERE users.id = user_id AND mail = 'bob@x'", "SELECT address FROM addresses JOIN users ON id = user_id WHERE mail = 'bob@x'", "SELECT address FROM addresses a JOIN users u ON u.id = a.user_id WHERE mail = 'bob@x' FOR UPDATE OF a"},
	}
	n := 0
	all := func() {
		t.Helper()
		for i, s := range sessions {
			n++
			value := fmt.Sprint("value ", n)
			if _, err := s.conn.Exec(ctx, s.write, value); err != nil {
				t.Errorf("session %d: %s: %v", i, s.write, err)
			}
			for k, o := range sessions {
				for _, sql := range []string{o.read, o.locks} {
					var got string
					if err := o.conn.QueryRow(ctx, sql).Scan(&got); err != nil || got != value {
						t.Errorf("session %d wrote %q, and session %d reads %q by %s (%v)", i, value, k, got, sql, err)
					}
				}
			}
			rows, err := s.conn.Query(ctx, "SELECT * FROM users WHERE "+s.email+" = 'bob@x'")
			if err != nil {
				t.Errorf("session %d: %v", i, err)
				continue
			}
			var names []string
			for _, f := range rows.FieldDescriptions() {
				names = append(names, f.Name)
			}
			rows.Close()
			if got := strings.Join(names, " "); s.star != "" && got != s.star {
				t.Errorf("session %d sees the columns %s, want %s", i, got, s.star)
			}
		}
	}
	all()
	for _, p := range []lens.Phase{lens.SwitchReads, lens.Contract, lens.Complete} {
		if err := l.control.Advance(ctx, rename, proxy.AdvanceOptions{To: &p, Yes: true}); err != nil {
			t.Fatal(err)
		}
		at(p)
		all()
	}
	agreeing(t, direct)
}
