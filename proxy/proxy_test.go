package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Options{HBA: []string{
		"host all md5user 127.0.0.1/32 md5",
		"host all scramuser 127.0.0.1/32 scram-sha-256",
		"hostssl all tlsonly 127.0.0.1/32 trust", "host all tlsonly 127.0.0.1/32 reject",
		"hostnossl all plainonly 127.0.0.1/32 trust", "host all plainonly 127.0.0.1/32 reject",
		"hostssl all certuser 127.0.0.1/32 cert",
		"host all all 127.0.0.1/32 trust",
	}}))
}

// fakeControl is a Control over no database: the test says what the lease is and what states come. It remembers what it was told.
type fakeControl struct {
	first *rewrite.State

	mu         sync.Mutex
	host       Host
	running    chan struct{} // closed when Run has begun
	left       bool          // Run has ended
	lease      time.Duration // from Run's begin; 0: none
	registered map[uint32]bool
	failing    int // so many calls of Register fail first
	calls      []string
	answer     error // of every operation
	followers  map[string]*fakeControl
	placeless  bool                    // followers cannot join
	lose       context.CancelCauseFunc // a follower's: there is no standby any more
}

// Server looks for itself.
func (f *fakeControl) Server(ctx context.Context, _, addr string) (s ServerState, err error) {
	conn, err := pgx.Connect(ctx, "postgres://postgres@"+addr+"/postgres?sslmode=disable")
	if err != nil {
		return s, err
	}
	err = conn.QueryRow(ctx, "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool").Scan(&s.Standby, &s.ReadOnly)
	return s, errors.Join(err, conn.Close(ctx))
}

// Look notes that it was called.
func (f *fakeControl) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "look")
}

// Follow gives a follower of the same state, as a Control of its own.
func (f *fakeControl) Follow(_, addr string) Follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := newControl(f.first)
	if f.placeless {
		x.first = nil
	}
	if f.followers == nil {
		f.followers = map[string]*fakeControl{}
	}
	f.followers[addr] = x
	return &fakeFollower{x}
}

// follower is the last one at an address.
func (f *fakeControl) follower(addr string) *fakeControl {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers[addr]
}

type fakeFollower struct{ *fakeControl }

func (f *fakeFollower) Run(ctx context.Context, host Host) error {
	ctx, stop := context.WithCancelCause(ctx)
	f.mu.Lock()
	f.lose = stop
	f.mu.Unlock()
	if err := f.fakeControl.Run(ctx, host); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (f *fakeFollower) Leave() error { return f.call("leave") }

func newControl(state *rewrite.State) *fakeControl {
	return &fakeControl{first: state, running: make(chan struct{}), lease: time.Hour, registered: map[uint32]bool{}}
}

func (f *fakeControl) Join(context.Context) (*rewrite.State, error) {
	if f.first == nil {
		return nil, errors.New("the database is down")
	}
	return f.first, nil
}

func (f *fakeControl) Run(ctx context.Context, host Host) error {
	f.mu.Lock()
	f.host = host
	f.mu.Unlock()
	if f.lease > 0 {
		host.Lease(Boottime() + f.lease)
	}
	close(f.running)
	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	return nil
}

func (f *fakeControl) Register(_ context.Context, pids []uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing > 0 {
		f.failing--
		return errors.New("the control connection is gone")
	}
	for _, pid := range pids {
		f.registered[pid] = true
	}
	return nil
}

func (f *fakeControl) Unregister(pid uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.registered, pid)
}

func (f *fakeControl) pids() []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pids []uint32
	for pid := range f.registered {
		pids = append(pids, pid)
	}
	return pids
}

func (f *fakeControl) call(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.answer
}

func (f *fakeControl) Start(_ context.Context, def *lens.Definition, o StartOptions) error {
	return f.call("start %s on %s max wait %v terminate %t", def.Name, def.Table, o.MaxWait, o.Terminate)
}

func (f *fakeControl) Carry(_ context.Context, def *lens.Definition, o AdvanceOptions) error {
	return f.call("carry %s on %s to %v yes %t", def.Name, def.Table, o.To, o.Yes)
}

func (f *fakeControl) Backfill(_ context.Context, name string, o BackfillOptions) (json.RawMessage, error) {
	paused, rows := "nil", "nil"
	if o.Paused != nil {
		paused = fmt.Sprint(*o.Paused)
	}
	if o.MaxRows != nil {
		rows = fmt.Sprint(*o.MaxRows)
	}
	return json.RawMessage(`{"paused":true}`), f.call("backfill %s paused %s max rows %s", name, paused, rows)
}

func (f *fakeControl) Advance(_ context.Context, name string, o AdvanceOptions) error {
	return f.call("advance %s to %v max-wait %v terminate %t yes %t unproved %t", name, o.To, o.MaxWait, o.Terminate, o.Yes, o.Unproved)
}

func (f *fakeControl) Rollback(_ context.Context, name string, o AdvanceOptions) error {
	return f.call("rollback %s to %v", name, o.To)
}

func (f *fakeControl) Retire(_ context.Context, name string, opt RetireOptions) error {
	return f.call("retire %s quiet for %v wait %v", name, opt.QuietFor, opt.Wait)
}

func (f *fakeControl) Drop(ctx context.Context, name string) error {
	if want := fmt.Sprintf("uid %d, pid %d", os.Getuid(), os.Getpid()); !strings.Contains(ActorOf(ctx), want) {
		return fmt.Errorf("asked by %q, not by one who is %s", ActorOf(ctx), want)
	}
	if b := OnBusyOf(ctx); b != BusyQueue {
		return f.call("drop %s, on busy %s", name, b)
	}
	return f.call("drop %s", name)
}

func (f *fakeControl) Check(context.Context, *lens.Definition) (json.RawMessage, error) {
	return json.RawMessage("{}"), nil
}

func (f *fakeControl) Verify(_ context.Context, name string, repair bool) error {
	return f.call("verify %s repair %t", name, repair)
}

func (f *fakeControl) Status(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"epoch":1,"settled":true,"migrations":[],"proxies":[]}`), f.call("status")
}

// noMigrations is a state in which nothing migrates.
func noMigrations(t testing.TB) *rewrite.State {
	t.Helper()
	s, err := rewrite.NewState(1, catalog.New(nil, nil, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// renaming is a state in which users.name becomes users.full_name; the table has both columns.
func renaming(t testing.TB, epoch int64, phase lens.Phase) *rewrite.State {
	t.Helper()
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	users := &catalog.Relation{OID: usersOID(t), Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
		{Name: "id", Num: 1, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true},
		{Name: "name", Num: 2, Type: text},
		{Name: "full_name", Num: 3, Type: text},
	}}
	def := &lens.Definition{
		Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
		RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
	}
	s, err := rewrite.NewState(epoch, catalog.New([]*catalog.Relation{users}, nil, nil), []rewrite.Migration{
		{Definition: def, Stage: lens.Stage{Phase: phase}, OldNums: map[string]int16{"name": 2}, Seq: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// usersTable is for the databases of tests with a state of renaming, which have the table from their template.
const usersTable = "TRUNCATE users"

// usersOID gives the OID of table users in every database that is made after the first call: sessions ask the server what a migrating table's name means,
// and the answer has to fit the state's catalog.
func usersOID(t testing.TB) uint32 {
	t.Helper()
	usersMade.Do(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, pgtest.Shared().DSN("template1"))
		if err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, conn, "CREATE TABLE users (id int PRIMARY KEY, name text, full_name text)")
		if err := conn.QueryRow(ctx, "SELECT 'users'::regclass::oid").Scan(&usersNumber); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(ctx); err != nil { // CREATE DATABASE wants its template to itself
			t.Fatal(err)
		}
	})
	return usersNumber
}

var (
	usersMade   sync.Once
	usersNumber uint32
)

// running is a proxy that is served until the test ends.
type running struct {
	*Proxy
	control *fakeControl
	stop    context.CancelFunc
	served  chan error
}

// start runs a proxy before the tests' server, and checks at the end that nothing of it is left.
func start(t *testing.T, control *fakeControl, change ...func(*Options)) *running {
	t.Helper()
	goroutines := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, goroutines) })
	opt := options(t)
	for _, f := range change {
		f(&opt)
	}
	p := open(t, opt, control)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Proxy: p, control: control, stop: cancel, served: make(chan error, 1)}
	go func() { r.served <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.served; err != nil {
			t.Error(err)
		}
		if control.mu.Lock(); !control.left {
			t.Error("the lease was not handed back")
		}
		control.mu.Unlock()
	})
	<-control.running
	return r
}

func open(t *testing.T, opt Options, control *fakeControl) *Proxy {
	t.Helper()
	p, err := Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Join(context.Background(), control); err != nil {
		t.Fatal(err)
	}
	return p
}

func options(t testing.TB) Options {
	return Options{
		Listen: "127.0.0.1:0", Version: lens.Auto, Server: []string{pgtest.Shared().Addr()}, ConnectTimeout: 5 * time.Second,
		Admin: filepath.Join(t.TempDir(), "admin", "admin.sock"), MaxConnections: 100, HoldTimeout: 10 * time.Second,
		Driver: Driver(os.Getenv("SEGUE_DRIVER")), DrainTimeout: time.Minute, Log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)), // warnings
	}
}

// end stops the proxy and waits.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	err := <-r.served
	r.served <- nil // for the clean-up
	if err != nil {
		t.Error(err)
	}
}

func (r *running) dsn(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, r.Addr(), database)
}

// database makes a database and gives its connection string through the proxy, and directly.
func (r *running) database(t *testing.T, statements ...string) (through, direct string) {
	t.Helper()
	name := pgtest.Database(t)
	direct = pgtest.Shared().DSN(name)
	pgtest.Exec(t, pgtest.Connect(t, direct), statements...)
	return r.dsn("postgres", name), direct
}

// eventually waits for what other goroutines are about to do and tell nobody.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited for: %s", what)
		}
	}
}

func query(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var s string
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// raw opens a connection to the proxy without speaking on it.
func (r *running) raw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestStateAndSettingsReachStatements(t *testing.T) {
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)))
	dsn, _ := r.database(t, usersTable)
	ctx := context.Background()
	old := pgtest.Connect(t, dsn)
	pgtest.Exec(t, old, "INSERT INTO users (id, name) VALUES (1, 'Ann')")
	recent := pgtest.Connect(t, dsn+"&options=-csegue.version%3Dnew")
	if got := query(t, recent, "SELECT full_name FROM users WHERE id = $1", 1); got != "Ann" {
		t.Errorf("new code reads %q", got)
	}
	var names []string
	rows, err := recent.Query(ctx, "SELECT * FROM users")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rows.FieldDescriptions() {
		names = append(names, f.Name)
	}
	rows.Close()
	if want := []string{"id", "full_name"}; !slices.Equal(names, want) {
		t.Errorf("new code sees the columns %v; want %v", names, want)
	}
}
