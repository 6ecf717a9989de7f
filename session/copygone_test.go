package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"segue/internal/pgtest"
)

// A COPY that is cancelled, and one of a client that vanishes, leave nothing behind, whatever has come of the data.
func TestCopyThatIsBrokenOff(t *testing.T) {
	for _, w := range copyWorlds() {
		if w.name != "rename, old" && w.name != "priced, old" { // edited, and staged
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			name, admin, d := w.open(t)
			left := func() (left string) {
				t.Helper()
				if err := admin.QueryRow(background, "SELECT concat((SELECT count(*) FROM items), ' ', (SELECT string_agg(relname, ' ') FROM pg_class WHERE relname ~ 'segue_copy'))").Scan(&left); err != nil {
					t.Fatal(err)
				}
				return left
			}
			for _, how := range []copyWay{bySimple, byExtended, early} {
				c := rawConnect(t, d.dsn("postgres", name)+"&options=-csegue.version%3D"+string(w.version))
				pid := c.run("SELECT pg_backend_pid()", nil, bySimple)
				pid = pid[strings.Index(pid, `["`)+2 : strings.Index(pid, `"]`)]
				begin := func(text string) {
					t.Helper()
					if how == bySimple {
						c.fe.Send(&pgproto3.Query{String: text})
					} else {
						c.fe.Send(&pgproto3.Parse{Query: text})
						c.fe.Send(&pgproto3.Bind{})
						c.fe.Send(&pgproto3.Execute{})
						if how == early {
							c.fe.Send(&pgproto3.Sync{})
						}
					}
					c.fe.Send(&pgproto3.CopyData{Data: []byte("1\t10\n2\t2")})
					if err := c.fe.Flush(); err != nil {
						t.Fatal(err)
					}
					for {
						m, err := c.fe.Receive()
						if err != nil {
							t.Fatal(how, err)
						}
						if e, is := m.(*pgproto3.ErrorResponse); is {
							t.Fatal(how, e.Message)
						}
						if _, in := m.(*pgproto3.CopyInResponse); in {
							return
						}
					}
				}
				begin(fmt.Sprintf("COPY items (id, %s) FROM STDIN", w.column))
				pgtest.Exec(t, admin, "SELECT pg_cancel_backend("+pid+")")
				c.fe.Send(&pgproto3.CopyData{Data: []byte("0\n3\t30\n")}) // the server looks when it has read something
				if err := c.fe.Flush(); err != nil {
					t.Fatal(err)
				}
				said := ""
				for said == "" {
					m, err := c.fe.Receive()
					if err != nil {
						t.Fatal(err)
					}
					if e, is := m.(*pgproto3.ErrorResponse); is {
						said = e.Code
					}
				}
				if said != "57014" {
					t.Errorf("a COPY that was cancelled ends with %s", said)
				}
				if how == byExtended {
					c.fe.Send(&pgproto3.Sync{})
				}
				if how == early { // the server may have read the first one as a part of the data, or not
					c.fe.Send(&pgproto3.CopyDone{})
					c.fe.Send(&pgproto3.Sync{})
				}
				c.fe.Send(&pgproto3.Query{String: "SELECT 'mark'"})
				if err := c.fe.Flush(); err != nil {
					t.Fatal(err)
				}
				for marked, ready := false, false; !ready; {
					m, err := c.fe.Receive()
					if err != nil {
						t.Fatal(err)
					}
					switch m := m.(type) {
					case *pgproto3.DataRow:
						marked = true
					case *pgproto3.ReadyForQuery:
						if ready = marked; m.TxStatus != 'I' {
							t.Errorf("a COPY that was cancelled leaves %c", m.TxStatus)
						}
					}
				}
				if l := left(); l != "0 " {
					t.Errorf("a COPY that was cancelled leaves %s", l)
				}
				if got := c.run(fmt.Sprintf("COPY items (%s, id) FROM STDIN", w.column), []string{"5\t6\n"}, bySimple); !strings.Contains(got, "COPY 1") {
					t.Errorf("after a COPY that was cancelled, another gives %s", got)
				}
				pgtest.Exec(t, admin, "DELETE FROM items")

				c = rawConnect(t, d.dsn("postgres", name)+"&options=-csegue.version%3D"+string(w.version))
				pid = c.run("SELECT pg_backend_pid()", nil, bySimple)
				pid = pid[strings.Index(pid, `["`)+2 : strings.Index(pid, `"]`)]
				begin(fmt.Sprintf("COPY items (id, %s) FROM STDIN", w.column))
				if err := c.conn.Close(); err != nil {
					t.Fatal(err)
				}
				for gone := false; !gone; {
					if err := admin.QueryRow(background, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+pid+")").Scan(&gone); err != nil {
						t.Fatal(err)
					}
				}
				if l := left(); l != "0 " {
					t.Errorf("a client that vanished leaves %s", l)
				}
			}
		})
	}
}
