package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// scriptedProxy answers on an admin socket: 202 to every POST, and to each GET of the status with the next of the script's migrations,
// staying at the last. asked is called with the number of each status.
func scriptedProxy(t *testing.T, script []string, asked func(n int)) (admin string) {
	t.Helper()
	admin = filepath.Join(t.TempDir(), "a.sock")
	l, err := net.Listen("unix", admin)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, `{"migration":"m"}`)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if script[min(n, len(script)-1)] == "gone" {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		_, _ = fmt.Fprintf(w, `{"epoch":7,"settled":true,"migrations":[%s]}`, script[min(n, len(script)-1)])
		n++
		if asked != nil {
			asked(n)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return admin
}

func TestFollow(t *testing.T) {
	noLeaks(t)
	const (
		begun    = `{"name":"m","table":"public.users","phase":"backfill","working":"backfilling","backfill":{"rows_done":50,"rows_total":100,"rate":10,"eta_seconds":5}}`
		more     = `{"name":"m","table":"public.users","phase":"backfill","working":"backfilling","backfill":{"rows_done":60,"rows_total":100,"rate":10,"eta_seconds":4}}`
		analyze  = `{"name":"m","table":"public.users","phase":"backfill","working":"analyzing"}`
		done     = `{"name":"m","table":"public.users","phase":"backfill","proved":true,"later":"field"}`
		failed   = `{"name":"m","table":"public.users","phase":"backfill","error":"row 7 does not convert"}`
		gate     = `{"name":"m","table":"public.users","phase":"switch-reads","error":"the gate of contract refuses: the standby is behind"}`
		busy     = `{"name":"m","table":"public.users","phase":"switch-reads","error":"busy: the epoch is being changed"}`
		complete = `{"name":"m","table":"public.users","phase":"complete","proved":true,"old_names":[{"application":"billing","user":"web","version":"old","count":7,"last_seen":"2026-01-01T00:00:00Z"}]}`
		blocked  = `{"name":"m","table":"public.users","phase":"contract","proved":true,"working":"settling epoch 7","gate":{"ready":true},"blocked_by":[
			{"why":"epoch","proxy":"0123456789","host":"a","pid":42,"application":"shop","user":"web","age_seconds":2.5,"state":"idle in transaction","statement":"SELECT"},
			{"why":"proxy","proxy":"89abcdef00","host":"b","age_seconds":-1},{"why":"lease","proxy":"89abcdef00","host":"b","age_seconds":-1},{"why":"standby","proxy":"89abcdef00","host":"b","age_seconds":3,"state":"replaying","standby":"10.0.0.3:5432"},
			{"why":"prepared","user":"web","prepared":"x","age_seconds":-1},{"why":"lock","pid":43,"user":"web","age_seconds":-1}]}`
		apart = `{"name":"m","table":"public.users","phase":"backfill","verify":{"rows":10,"apart":2,"first_keys":["3","7"]}}`
	)
	for _, c := range []struct {
		args   string
		script []string
		code   int
		want   string // standard output, then standard error
	}{
		{
			"advance m",
			[]string{begun, begun, more, analyze, done},
			exitDone,
			"m: backfill: backfilling: 50 of about 100 rows, 10 rows/s, 5s left\nm: backfill: analyzing\nm: backfill, proved\n",
		},
		{
			"advance m --to complete --yes",
			[]string{complete},
			exitDone,
			"m: complete, proved\n  old names: 7 statements of application \"billing\", user web, version old, last 2026-01-01T00:00:00Z\n",
		},
		{
			"status m",
			[]string{blocked},
			exitDone,
			"m on public.users: contract, proved, not settled\n  now: settling epoch 7\n" +
				"  blocked by: pid 42, application \"shop\", user web, 2.5s in transaction, idle in transaction, last SELECT, at proxy 01234567 on a\n" +
				"  blocked by: proxy 89abcdef on b, which has not acknowledged yet\n  blocked by: proxy 89abcdef on b, whose lease has run out; its server sessions are ended\n" +
				"  blocked by: proxy 89abcdef on b, whose sessions at the standby 10.0.0.3:5432 wait for it to replay the change (replaying)\n" +
				"  blocked by: the prepared transaction 'x' of web\n  blocked by: pid 43, application \"\", user web, with a lock on public.users\n",
		},
		{"advance m --json", []string{begun, done}, exitDone, done + "\n"},
		{"advance m --no-wait", []string{begun}, exitDone, "m: under way; follow it with segue status m --watch\n"},
		{"advance m --no-wait --json", []string{begun}, exitDone, "{\"migration\":\"m\"}\n"},
		{"advance m", []string{failed}, exitFailed, "segue: advance m (it stands at backfill): row 7 does not convert\n"},
		{"advance m", []string{gate}, exitGate, "segue: advance m (it stands at switch-reads): the gate of contract refuses: the standby is behind\n"},
		{"advance m", []string{busy}, exitBusy, "segue: advance m (it stands at switch-reads): busy: the epoch is being changed\n"},
		{"advance m --if-busy never", []string{done}, exitUsage, "segue: --if-busy: \"never\" is no choice: use wait or fail\n"},
		{"advance m --if-busy wait", []string{done}, exitDone, "m: backfill, proved\n"},
		{"advance m", []string{""}, exitFailed, "segue: m is gone: it was dropped meanwhile; see segue status\n"},
		{"drop m", []string{done, ""}, exitFailed, "segue: drop m: it is still there, at backfill, proved; see segue status m\n"},
		{"drop m", []string{analyze, ""}, exitDone, "m: backfill: analyzing\nm: forgotten\n"},
		{"verify m", []string{apart}, exitFailed, "segue: verify m: verified: 10 rows, 2 apart, the first: 3; 7; make them agree with --repair\n"},
		{"verify m --repair", []string{apart}, exitDone, "m: backfill; verified: 10 rows, 2 apart, the first: 3; 7\n"},
	} {
		admin := scriptedProxy(t, c.script, nil)
		code, out, err := command(context.Background(), append(strings.Fields(c.args), "--admin", admin)...)
		if code != c.code || out+err != c.want {
			t.Errorf("segue %s: exit code %d; want %d\n%s%swant\n%s", c.args, code, c.code, out, err, c.want)
		}
	}

	admin := scriptedProxy(t, []string{analyze, "gone"}, nil)
	if code, _, err := command(context.Background(), "advance", "m", "--admin", admin); code != exitFailed || !strings.HasPrefix(err, "segue: the proxy went away during the work") {
		t.Errorf("exit code %d: %s", code, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	admin = scriptedProxy(t, []string{analyze}, func(n int) {
		if n == 2 {
			cancel()
		}
	})
	if code, _, err := command(ctx, "advance", "m", "--admin", admin); code != exitFailed || err != "segue: stopped following; the work goes on in the proxy: see segue status m\n" {
		t.Errorf("exit code %d: %s", code, err)
	}
}

func TestStatusWatch(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	one := `{"name":"m","table":"public.users","phase":"backfill","settled":true,"gate":{"missing":["the backfill is not through"]}}`
	two := `{"name":"m","table":"public.users","phase":"contract","proved":true,"settled":true,"gate":{"ready":true}}`
	admin := scriptedProxy(t, []string{one, one, two}, func(n int) {
		if n == 4 {
			cancel()
		}
	})
	code, out, err := command(ctx, "status", "m", "--watch", "--admin", admin)
	want := "m on public.users: backfill\n  the next phase waits for: the backfill is not through\n\nm on public.users: contract, proved\n"
	if code != exitDone || out != want || err != "" {
		t.Errorf("exit code %d\n%s%s\nwant\n%s", code, out, err, want)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, width: 60}
	m := &migration{Name: "m", Phase: 3, Working: "backfilling"}
	m.Backfill.Done, m.Backfill.Total = 25, 100
	for range 2 {
		if err := p.update(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	line := "\r\x1b[Km: backfill: backfilling [#####...............] 25 of about"
	if got := out.String(); got != line+line+"\r\x1b[K" {
		t.Errorf("%q", got)
	}
}
