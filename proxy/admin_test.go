package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// ask sends a request to the admin socket.
func (r *running) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.opt.Admin)
	}}
	req, err := http.NewRequest(method, "http://segue"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: Content-Type is %q", method, path, got)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func TestAdmin(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control, func(o *Options) {
		o.CheckDefinition = func(d *lens.Definition) error {
			if d.Name == "bad" {
				return errors.New("name: bad")
			}
			return nil
		}
	})
	for _, c := range []struct{ method, path, body, call, want string }{
		{"GET", "/v1/status", "", "status", `200 {"epoch":1,"settled":true,"migrations":[],"proxies":[]}`},
		{
			"POST", "/v1/migrations", `{"name":"m","table":"public.users","rename_column":{"from":"a","to":"b"}}`, "start m on public.users max wait 0s terminate false",
			`202 {"follow":"/v1/status","migration":"m"}`,
		},
		{
			"POST", "/v1/migrations?max_wait=30s&terminate=true", `{"name":"m","table":"public.users","rename_column":{"from":"a","to":"b"}}`,
			"start m on public.users max wait 30s terminate true", `202 {"follow":"/v1/status","migration":"m"}`,
		},
		{"POST", "/v1/migrations?max_wait=-1s", `{}`, "", `400 {"error":"max_wait: \"-1s\" is no time to wait for: write 30s, or 5m"}`},
		{"POST", "/v1/migrations?terminate=maybe", `{}`, "", `400 {"error":"terminate: \"maybe\" is neither true nor false"}`},
		{"POST", "/v1/migrations", `{"name":"bad","table":"public.users"}`, "", `400 {"error":"name: bad"}`},
		{"POST", "/v1/migrations", `{"nam":"m"}`, "", `400 {"error":"the body is no JSON that is understood: json: unknown field \"nam\""}`},
		{"POST", "/v1/migrations", `{`, "", `400 {"error":"the body is no JSON that is understood: unexpected EOF"}`},
		{"POST", "/v1/migrations", `{} {}`, "", `400 {"error":"the body is no JSON that is understood: there is something after it"}`},
		{
			"POST", "/v1/migrations/m/advance", `{"to":"complete","max_wait":"30s","terminate":true,"yes":true,"unproved":true}`,
			"advance m to complete max-wait 30s terminate true yes true unproved true", `202 {"follow":"/v1/status","migration":"m"}`,
		},
		{
			"POST", "/v1/migrations/m/advance", "", "advance m to <nil> max-wait 0s terminate false yes false unproved false",
			`202 {"follow":"/v1/status","migration":"m"}`,
		},
		{
			"POST", "/v1/migrations/m/advance", `{"to":"nowhere"}`, "",
			`400 {"error":"the body is no JSON that is understood: \"nowhere\" is no phase; the phases are pending, expand, dual-write, backfill, switch-reads, contract, complete, retired"}`,
		},
		{"POST", "/v1/migrations/m/rollback", `{"to":"pending"}`, "rollback m to pending", `202 {"follow":"/v1/status","migration":"m"}`},
		{"POST", "/v1/migrations/m/retire", `{"quiet_for":"2s","wait":true}`, "retire m quiet for 2s wait true", `202 {"follow":"/v1/status","migration":"m"}`},
		{"POST", "/v1/migrations/m/verify", `{"repair":true}`, "verify m repair true", `202 {"follow":"/v1/status","migration":"m"}`},
		{"POST", "/v1/migrations/m/verify?if_busy=never", "", "", `400 {"error":"if_busy: \"never\" is no choice: use wait or fail"}`},
		{"POST", "/v1/migrations/m/drop?if_busy=fail", "", "drop m, on busy fail", `202 {"follow":"/v1/status","migration":"m"}`},
		{"POST", "/v1/migrations/m/backfill", `{"paused":true,"max_rows":7}`, "backfill m paused true max rows 7", `200 {"paused":true}`},
		{"POST", "/v1/migrations/m/backfill", `{"paused":false}`, "backfill m paused false max rows nil", `200 {"paused":true}`},
		{"POST", "/v1/migrations/m/backfill", `{"rows":1}`, "", `400 {"error":"the body is no JSON that is understood: json: unknown field \"rows\""}`},
		{
			"POST", "/v1/run", `{"definition":{"name":"m","table":"public.users","rename_column":{"from":"a","to":"b"}},"to":"complete","yes":true}`,
			"carry m on public.users to complete yes true", `202 {"follow":"/v1/status","migration":"m"}`,
		},
		{"POST", "/v1/run", `{"definition":{"name":"bad"}}`, "", `400 {"error":"name: bad"}`},
		{"POST", "/v1/migrations/m/drop", "", "drop m", `202 {"follow":"/v1/status","migration":"m"}`},
		{
			"POST", "/v1/explain", `{"sql":"SELECT full_name FROM users","version":"new"}`, "",
			`200 {"kind":"rewrite","sql":"SELECT users.name AS full_name FROM users","migrations":["users_full_name"],` +
				`"tables":[{"table":"public.users","migrations":[{"name":"users_full_name","phase":"dual-write","step":"","proved":false,"side":"new"}],` +
				`"columns":[{"name":"id","type":"integer"},{"name":"full_name","type":"text","migration":"users_full_name","reads":"name","writes":["full_name = value","name = value"]}]}],` +
				`"epoch":5,"version":"new"}`,
		},
		{
			"POST", "/v1/explain", `{"sql":"SELECT 1"}`, "", `200 {"kind":"pass","sql":"SELECT 1","epoch":5,"version":"auto"}`,
		},
		{
			"POST", "/v1/explain", `{"sql":"SELECT FROM FROM users","server_major":15}`, "", `200 {"kind":"pass","sql":"SELECT FROM FROM users","epoch":5,"version":"auto"}`,
		},
		{
			"POST", "/v1/explain", `{"sql":"SELECT FROM FROM users","server_major":18}`, "",
			`200 {"kind":"refuse","refusal":{"code":"0A000","message":"segue: a statement that names a migrating table cannot be parsed",` +
				`"hint":"This build knows PostgreSQL 16's grammar; write the statement in that."},"epoch":5,"version":"auto"}`,
		},
		{
			"POST", "/v1/explain", `{"sql":"SELECT 1","version":"newest"}`, "",
			`400 {"error":"\"newest\" is no version: use old, new, auto or the name of a migration that is under way"}`,
		},
	} {
		control.calls = nil
		status, body := r.ask(t, c.method, c.path, c.body)
		if got := fmt.Sprintf("%d %s", status, body); got != c.want {
			t.Errorf("%s %s %s: %s\nwant %s", c.method, c.path, c.body, got, c.want)
		}
		if got := strings.Join(control.calls, ", "); got != c.call {
			t.Errorf("%s %s %s: called %q; want %q", c.method, c.path, c.body, got, c.call)
		}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("migration m: %w", ErrUnknown), `404 {"error":"migration m: unknown migration"}`},
		{fmt.Errorf("m: %w", ErrConflict), `409 {"error":"m: not in this state"}`},
		{fmt.Errorf("m: %w", ErrInvalid), `400 {"error":"m: cannot be carried out"}`},
		{
			fmt.Errorf("m: %w", &GateError{Gate: "contract", Missing: []string{"a", "b"}}),
			`409 {"error":"m: the gate of contract refuses: a; b","gate":"contract","missing":["a","b"]}`,
		},
		{&BusyError{"m is at work"}, `409 {"error":"busy: m is at work","busy":true}`},
		{errors.New("the database is down"), `500 {"error":"the database is down"}`},
	} {
		control.answer = c.err
		status, body := r.ask(t, "POST", "/v1/migrations/m/advance", "")
		if got := fmt.Sprintf("%d %s", status, body); got != c.want {
			t.Errorf("%v: %s\nwant %s", c.err, got, c.want)
		}
	}
	control.answer = nil
	if status, body := r.ask(t, "GET", "/v1/nothing", ""); status != 404 || !strings.Contains(body, "there is no GET /v1/nothing here") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := r.ask(t, "POST", "/v1/migrations", strings.Repeat(" ", maxBody+1)+"{}"); status != 400 {
		t.Errorf("a large body: %d", status)
	}
}

// A statement is explained for the server that there is, once a session has met it.
func TestExplainKnowsTheServer(t *testing.T) {
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)))
	if got := r.hub.serverMajor(); got != 0 {
		t.Errorf("before any session it is %d", got)
	}
	dsn, _ := r.database(t)
	conn := pgtest.Connect(t, dsn)
	if got, want := r.hub.serverMajor(), query(t, conn, "SELECT (current_setting('server_version_num')::int / 10000)::text"); fmt.Sprint(got) != want {
		t.Errorf("the server's version is %s, and taken for %d", want, got)
	}
}

func TestParseGate(t *testing.T) {
	want := &GateError{Gate: "switch-reads", Missing: []string{"the backfill is not through", "the index is not built"}}
	got := ParseGate(want.Error())
	if got == nil || got.Error() != want.Error() || got.Gate != want.Gate || len(got.Missing) != 2 {
		t.Errorf("%#v", got)
	}
	if ParseGate("something else") != nil || ParseGate("the gate of nothing") != nil {
		t.Error("took another error for a gate's")
	}
}
