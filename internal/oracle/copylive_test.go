package oracle

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// client runs one of PostgreSQL's client programs, and gives its output.
func client(t *testing.T, addr, database, version, program string, args ...string) []byte {
	t.Helper()
	path, err := pgtest.FindProgram(program)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=postgres", "PGDATABASE="+database, "PGSSLMODE=disable", "PGOPTIONS=-c segue.version="+version)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q as %s code: %v\n%s", program, args, version, err, errs.Bytes())
	}
	return out
}

// TestCopyClients has psql copy rows in and out and pg_dump dump them, through a proxy, at each stop of a real migration, and compares with a database that has the code's own
// table. SEGUE_COPY_ROWS says how many rows; with a million, they are compared byte for byte all the same.
func TestCopyClients(t *testing.T) {
	rows := 200
	if env := os.Getenv("SEGUE_COPY_ROWS"); env != "" {
		n, err := strconv.Atoi(env)
		if err != nil {
			t.Fatalf("SEGUE_COPY_ROWS is %q: give the number of rows", env)
		}
		rows = n
	}
	pattern := map[string]lens.Definition{
		"rename": {RenameColumn: &lens.RenameColumn{From: "value", To: "amount"}},
		"retype": {ChangeType: &lens.ChangeType{Column: "value", To: "amount", Type: "bigint", Up: `"value"::bigint`, Down: "amount::varchar"}},
	}
	types := map[string][2]string{"rename": {"varchar(20)", "varchar(20)"}, "retype": {"varchar(20)", "bigint"}}
	for name, d := range pattern {
		t.Run(name, func(t *testing.T) {
			d.Name, d.Table = "items_amount", lens.TableName{Schema: "public", Name: "items"}
			dir := t.TempDir()
			data := filepath.Join(dir, "data.csv")
			var b bytes.Buffer
			b.WriteString("id,v,note\n")
			for i := range rows {
				note := [...]string{"plain", `"with, comma"`, "\"two\nlines\"", `"a ""quote"""`, `back\slash`, "", `""`, `é`}[i%8]
				fmt.Fprintf(&b, "%d,%d,%s\n", i, i*7, note)
			}
			if err := os.WriteFile(data, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			table := map[string]string{
				"old": fmt.Sprintf("CREATE TABLE items (id int PRIMARY KEY, value %s DEFAULT '7', note text)", types[name][0]),
				"new": fmt.Sprintf("CREATE TABLE items (id int PRIMARY KEY, note text, amount %s DEFAULT '7')", types[name][1]),
			}
			column := map[string]string{"old": "value", "new": "amount"}
			direct := pgtest.Shared().Addr()
			// said is all that the programs say to code of a version.
			said := func(addr, database, version, out string) string {
				c := column[version]
				psql := func(commands ...string) []byte {
					args := []string{"-X", "-At", "-v", "ON_ERROR_STOP=1"}
					for _, c := range commands {
						args = append(args, "-c", c)
					}
					return client(t, addr, database, version, "psql", args...)
				}
				var b strings.Builder
				b.Write(psql("TRUNCATE items", fmt.Sprintf(`\copy items (id, %s, note) from '%s' with csv header`, c, data), fmt.Sprintf(`\copy items to '%s.bin' binary`, out),
					"TRUNCATE items", fmt.Sprintf(`\copy items from '%s.bin' binary`, out), fmt.Sprintf(`\copy (select id, note, %s from items order by id) to '%s.txt' with (delimiter '|', null 'none')`, c, out),
					"TRUNCATE items", fmt.Sprintf(`\copy items (id, note, %s) from '%s.txt' delimiter '|' null 'none'`, c, out)))
				for _, ext := range []string{".bin", ".txt"} {
					all, err := os.ReadFile(out + ext)
					if err != nil {
						t.Fatal(err)
					}
					b.Write(all)
				}
				reloaded := filepath.Join(dir, "reload.sql")
				if err := os.WriteFile(reloaded, client(t, addr, database, version, "pg_dump", "--data-only", "--schema=public"), 0o600); err != nil {
					t.Fatal(err)
				}
				b.Write(psql("TRUNCATE items", `\i `+reloaded, fmt.Sprintf("SELECT count(*), md5(string_agg(format('%%s %%s %%s', id, %s, note), ',' ORDER BY id)) FROM public.items", c)))
				return b.String()
			}
			want := map[string]string{}
			for _, v := range []string{"old", "new"} {
				db := pgtest.Database(t)
				client(t, direct, db, v, "psql", "-X", "-c", table[v])
				want[v] = said(direct, db, v, filepath.Join(dir, "direct"))
			}
			db := pgtest.Database(t)
			client(t, direct, db, "old", "psql", "-X", "-c", table["old"])
			addr, control := startProxy(t, pgtest.Shared().DSN(db))
			l := &live{t: t, control: control}
			ctx := context.Background()
			for _, stop := range []lens.Phase{lens.DualWrite, lens.Contract, lens.Complete} {
				if stop == lens.DualWrite {
					l.must(control.Start(ctx, &d, proxy.StartOptions{}))
				} else {
					l.must(control.Advance(ctx, d.Name, proxy.AdvanceOptions{To: &stop, Yes: true}))
				}
				l.reach(stop)
				for _, v := range []string{"old", "new"} {
					got := said(addr, db, v, filepath.Join(dir, "through"))
					at := 0
					for at < min(len(got), len(want[v])) && got[at] == want[v][at] {
						at++
					}
					if got != want[v] {
						t.Errorf("%s: from byte %d on, %s code gets %.200q and not %.200q", stop, at, v, got[at:], want[v][at:])
					}
				}
			}
		})
	}
}
