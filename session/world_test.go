package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"segue/internal/wiretest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// usersState is a state in which public.users is renaming name to full_name; without migrations where none is set.
func usersState(t testing.TB, epoch int64, none bool) *rewrite.State {
	t.Helper()
	stateMu.Lock()
	defer stateMu.Unlock()
	key := fmt.Sprint(epoch, none)
	if st := states[key]; st != nil {
		return st
	}
	var ms []rewrite.Migration
	if !none {
		ms = append(ms, rewrite.Migration{
			Definition: &lens.Definition{
				Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
				RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
			},
			Stage: lens.Stage{Phase: lens.DualWrite}, OldNums: map[string]int16{"name": 2}, Seq: 1,
		})
	}
	st, err := rewrite.NewState(epoch, usersCatalog, ms)
	if err != nil {
		t.Fatal(err)
	}
	states[key] = st
	return st
}

// usersCatalog is one for all epochs, as it is where no epoch changes the schema.
var usersCatalog = func() *catalog.Catalog {
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	users := &catalog.Relation{OID: 16384, Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
		{Name: "id", Num: 1, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true},
		{Name: "name", Num: 2, Type: text},
		{Name: "email", Num: 3, Type: text},
		{Name: "full_name", Num: 4, Type: text},
	}}
	return catalog.New([]*catalog.Relation{users}, nil, nil)
}()

var (
	stateMu sync.Mutex
	states  = map[string]*rewrite.State{}
)

// wordPlanner plans by words, so that scripts can ask for every outcome: it refuses what says "nope", and from epoch 2 on calls name full_name; a
// search path that does not begin with pg_catalog, public is told in a comment.
type wordPlanner struct{}

func (wordPlanner) plan(st *rewrite.State, sql string, set rewrite.Settings, _ func()) *rewrite.Plan {
	p := &rewrite.Plan{Kind: rewrite.Pass, SQL: sql, Migrations: []string{"users_full_name"}}
	if strings.Contains(sql, "nope") {
		p.Kind, p.SQL = rewrite.Refuse, ""
		p.Refusal = &rewrite.Refusal{Code: "0A000", Message: "not covered", Detail: "by " + string(set.Version), Hint: "write it otherwise", Position: 8}
		return p
	}
	if st.Epoch >= 2 {
		p.SQL = strings.ReplaceAll(sql, "name", fmt.Sprintf("n%d", st.Epoch))
		p.Results = []rewrite.Result{{Statement: strings.Count(sql, ";"), Origins: []rewrite.Origin{{Column: 1, Table: 16384, Num: 2}}}}
	}
	if path := strings.Join(set.Path, ","); path != "pg_catalog,public" {
		p.SQL += " /* " + path + " */"
	}
	if len(set.Temp) > 0 {
		p.SQL += " /* temp " + strings.Join(set.Temp, ",") + " */"
	}
	if p.SQL != sql {
		p.Kind = rewrite.Rewrite
	}
	return p
}

// kept knows half of the texts that may be known, so that conversations take both ways.
func (w wordPlanner) kept(st *rewrite.State, sql string, set *rewrite.Settings) *rewrite.Plan {
	if e := effectOf(sql, false); len(sql)%2 == 0 || !e.none() || !st.NamesTables(sql) || inert(sql) {
		return nil
	}
	if p := w.plan(st, sql, *set, nil); p.Kind != rewrite.Refuse {
		return p
	}
	return nil
}

func (wordPlanner) keep(*rewrite.State, string, *rewrite.Settings, *rewrite.Plan) {}

func (wordPlanner) position(_ *rewrite.Plan, server int) int { return server - 100 }

// testGate is a gate that counts.
type testGate struct {
	shut   bool
	leased bool // although it is shut
	used   []string
}

func (g *testGate) Admit(uint32) bool { return !g.shut }

func (g *testGate) Leased() bool { return g.leased || !g.shut }

func (g *testGate) Used(_ *Session, p *rewrite.Plan) {
	g.used = append(g.used, p.SQL)
}

// wire drives a session as its owner does: what the client sends while it is blocked waits here.
type wire struct {
	s       *Session
	gate    *testGate
	waiting []byte
	toS     []byte
	toC     []byte
	err     error
}

func newWire(t testing.TB, version lens.Version, epoch int64, none bool) *wire {
	w := &wire{gate: &testGate{}}
	w.s = New(Options{State: usersState(t, epoch, none), Version: version, Gate: w.gate})
	w.s.planner = wordPlanner{}
	return w
}

func (w *wire) collect(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
	w.toS = append(w.toS, w.s.ToServer()...)
	w.toC = append(w.toC, w.s.ToClient()...)
}

func (w *wire) client(b []byte) {
	w.waiting = append(w.waiting, b...)
	w.goOn()
}

// goOn lets the client's side go on where it can.
func (w *wire) goOn() {
	for w.err == nil && w.s.Blocked() == NotBlocked {
		n, err := w.s.Client(w.waiting)
		w.collect(err)
		w.waiting = w.waiting[n:]
		if len(w.waiting) == 0 || err != nil {
			return
		}
		if n == 0 && w.s.Blocked() == NotBlocked {
			w.err = fmt.Errorf("consumes nothing and waits for nothing")
		}
	}
}

func (w *wire) server(b []byte) {
	if w.err != nil {
		return
	}
	w.collect(w.s.Server(b))
	w.goOn()
}

// settingsReply is what the server answers to the session's question, up to a Sync's reply.
func settingsReply(side string) string {
	lines := []string{"ParseComplete", "BindComplete"}
	path := "pg_catalog,public"
	version := "NULL"
	for _, w := range strings.Fields(side) {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "path":
			path = v
		case "temp":
			for _, t := range strings.Split(v, ",") {
				lines = append(lines, "DataRow temp "+t)
			}
		case "version":
			version = v
		}
	}
	for _, p := range strings.Split(path, ",") {
		lines = append(lines, "DataRow path "+p)
	}
	return strings.Join(append(lines, "DataRow encoding UTF8", "DataRow strings on", "DataRow version "+version, `CommandComplete "SELECT 5"`, "CloseComplete", "CloseComplete"), "\n")
}

// started is the beginning of every conversation that does not test it.
func (w *wire) started(t testing.TB) {
	t.Helper()
	w.client(frames(t, wiretest.Client, "Startup user=u database=d application_name=a"))
	w.server(frames(t, wiretest.Server, "Auth 0\nParameterStatus server_version 15.4\nParameterStatus client_encoding UTF8\n"+
		"ParameterStatus standard_conforming_strings on\nBackendKeyData 42 7\nReady I"))
	if w.err != nil {
		t.Fatal(w.err)
	}
	w.toS, w.toC = nil, nil
}

func frames(t testing.TB, side wiretest.Side, lines string) []byte {
	t.Helper()
	b, err := wiretest.Frames(side, lines)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
