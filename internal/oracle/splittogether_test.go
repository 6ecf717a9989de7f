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

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// keys are what the transactions of TestSplitTogether are about: each about one of them, so that none waits for another that waits for it, unless the two tables of a
// split are locked in different orders.
const keys = 3

// together are the statements that are made transactions of, of old and of new code; $1 is the key, and {n} a number. A transaction ends with FOR SHARE: two that went on to write what both have locked
// so would wait for each other on the application's own schema, too.
var together = [2][]string{
	{
		"UPDATE users SET address = 'old {n}' WHERE id = $1",
		"UPDATE users SET address = NULL, phone = NULL WHERE id = $1",
		"UPDATE users SET address = address || '.', age = {n} WHERE id = $1 AND length(address) < 30",
		"UPDATE users SET age = age + 1 WHERE id = $1",
		"UPDATE users SET phone = '{n}' WHERE id = $1 AND address IS NOT NULL",
		"SELECT address FROM users WHERE id = $1 FOR UPDATE",
		"DELETE FROM users WHERE id = $1",
		"INSERT INTO users (id, address) VALUES ($1, 'made {n}') ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address",
	},
	{
		"UPDATE addresses SET address = 'new {n}' WHERE user_id = $1",
		"UPDATE addresses a SET number = u.age::text FROM users u WHERE u.id = a.user_id AND u.id = $1 AND u.age IS NOT NULL",
		"UPDATE addresses SET address = 'x {n}' WHERE user_id = $1 AND address LIKE 'old%'",
		"UPDATE addresses SET number = '{n}' WHERE user_id IN (SELECT id FROM users WHERE id = $1)",
		"DELETE FROM addresses WHERE user_id = $1",
		"INSERT INTO addresses (user_id, address) SELECT id, 'new {n}' FROM users WHERE id = $1 ON CONFLICT (user_id) DO UPDATE SET address = EXCLUDED.address",
		"INSERT INTO addresses (user_id, address) SELECT id, 'new {n}' FROM users WHERE id = $1 ON CONFLICT DO NOTHING",
		"MERGE INTO addresses USING (SELECT id FROM users WHERE id = $1) u ON u.id = user_id WHEN MATCHED AND address LIKE 'new%' THEN DELETE WHEN MATCHED THEN UPDATE SET address = 'merged {n}'",
		"SELECT address FROM addresses WHERE user_id = $1 FOR UPDATE",
		"SELECT * FROM addresses a JOIN users u ON u.id = a.user_id WHERE u.id = $1 FOR SHARE OF a",
		"SELECT user_id FROM addresses WHERE user_id = $1 ORDER BY address LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
		"UPDATE users SET age = {n} WHERE id = $1",
		"DELETE FROM users WHERE id = $1",
		"INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING",
	},
}

// TestSplitTogether has clients of old and new code write the same few rows through proxies at once, in transactions of up to three statements. None may end in a deadlock, since the tables'
// rows are locked in one order; and at the end the tables must say the same.
func TestSplitTogether(t *testing.T) {
	for _, v := range []*Variant{&Cascading, &Referring} {
		t.Run(v.Name, func(t *testing.T) {
			ctx := context.Background()
			direct, connect, _ := splitSwitched(t, v)
			var done sync.WaitGroup
			for i := range 6 {
				side := Side(i % 2)
				conn := connect(side)
				rnd := rand.New(rand.NewPCG(7, uint64(i)))
				done.Go(func() {
					for n := range 120 {
						if err := oneTogether(ctx, conn, rnd, side, n); err != nil {
							t.Errorf("%s code, transaction %d: %v", side, n, err)
						}
					}
				})
			}
			done.Wait()
			agreeing(t, direct)
		})
	}
}

// splitSwitched starts a split and brings it to switch-reads. It gives a connection to the database itself, and what connects code of a side to a proxy.
func splitSwitched(t *testing.T, v *Variant) (direct *pgx.Conn, connect func(version any) *pgx.Conn, l *liveWorld) {
	t.Helper()
	ctx := context.Background()
	name := pgtest.Database(t)
	direct = pgtest.Connect(t, pgtest.Shared().DSN(name))
	pgtest.Exec(t, direct, append(v.splitTables(OldSide), v.splitSeed(false, false)...)...)
	addr, control := startProxy(t, pgtest.Shared().DSN(name))
	l = &liveWorld{t: t, control: control}
	to := lens.SwitchReads
	if err := control.Start(ctx, v.Definition(), proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	l.settle(func(ms []migrate.MigrationStatus) bool { return len(ms) == 1 && ms[0].Phase == lens.DualWrite })
	if err := control.Advance(ctx, v.Definition().Name, proxy.AdvanceOptions{To: &to}); err != nil {
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
	rows, err := direct.Query(context.Background(), splitApart)
	if err != nil {
		t.Fatal(err)
	}
	apart, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	if len(apart) > 0 {
		t.Errorf("of the keys %d the tables do not say the same", apart)
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
func oneTogether(ctx context.Context, conn *pgx.Conn, rnd *rand.Rand, side Side, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	key := 1 + rnd.IntN(keys)
	for range 1 + rnd.IntN(3) {
		sql := together[side][rnd.IntN(len(together[side]))]
		began := time.Now()
		if _, err := tx.Exec(ctx, strings.ReplaceAll(sql, "{n}", fmt.Sprint(n)), pgx.QueryExecModeExec, key); err != nil {
			var pg *pgconn.PgError
			if errors.As(err, &pg) && (pg.Code == "23503" || pg.Code == "23505") {
				break
			}
			return errors.Join(fmt.Errorf("%s, after %s: %w", sql, time.Since(began), err), tx.Rollback(ctx))
		}
		if strings.Contains(sql, "FOR SHARE") {
			break
		}
	}
	if err := tx.Commit(ctx); err != nil && !errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	return nil
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
