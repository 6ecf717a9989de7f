package migrate

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// TestSeveralMigrations has three migrations of one table and one of another under way at once, each in another phase, with code for the schema before and after each of them at
// work. A version that is a migration's name is new for it and for those that were started before it.
func TestSeveralMigrations(t *testing.T) {
	e := newEnv(t, contactsTable+"CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'a');")
	defs := []lens.Definition{
		contacts(), legacy("'gone'"),
		{Name: "label_title", Table: lens.TableName{Schema: "public", Name: "contacts"}, RenameColumn: &lens.RenameColumn{From: "label", To: "title"}},
		{Name: "note_text", Table: lens.TableName{Schema: "public", Name: "notes"}, RenameColumn: &lens.RenameColumn{From: "body", To: "text"}},
	}
	// A constraint over columns of two of them would keep the second from starting.
	e.exec("ALTER TABLE contacts DROP CONSTRAINT named")
	c := e.carrier(pattern{def: defs[0]})
	work := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the work on "+name+" to end", func() bool {
			for _, m := range c.status().Migrations {
				if m.Name == name && m.Error != "" {
					t.Fatal(m.Error)
				}
				if m.Name == name {
					return m.Working == ""
				}
			}
			return false
		})
	}
	advance := func(i int, to lens.Phase) {
		t.Helper()
		work(defs[i].Name, c.Advance(context.Background(), defs[i].Name, proxy.AdvanceOptions{To: &to, Yes: true}))
	}
	id := 1000
	play := func(when string) {
		t.Helper()
		for _, x := range []struct{ version, write, read, want string }{
			{"old", "INSERT INTO contacts (id, legacy, label) VALUES ($ID, 'l', 'x')", "SELECT COALESCE(email, '-') || label FROM contacts WHERE id = $ID", "-x"},
			{"email_not_null", "INSERT INTO contacts (id, legacy, label, email) VALUES ($ID, 'l', 'x', 'e')", "SELECT email || label FROM contacts WHERE id = $ID", "ex"},
			{"no_legacy", "INSERT INTO contacts VALUES ($ID, 'x', 'e')", "SELECT label || email FROM contacts WHERE id = $ID", "xe"},
			{"label_title", "INSERT INTO contacts (id, title) VALUES ($ID, 'x')", "SELECT title || email FROM contacts WHERE id = $ID", "xnone"},
			{"new", "UPDATE contacts SET title = 'z', email = 'E' WHERE id = 1", "SELECT title || email FROM contacts WHERE id = 1", "zE"},
			{"old", "UPDATE contacts SET label = 'y' WHERE email = 'E'", "SELECT label || email FROM contacts WHERE id = 1", "yE"},
			{"label_title", "INSERT INTO notes (id, body) SELECT max(id) + 1, 'n' FROM notes", "SELECT body FROM notes ORDER BY id DESC LIMIT 1", "n"},
			{"new", "UPDATE notes SET text = text || '!' WHERE id = (SELECT max(id) FROM notes)", "SELECT text FROM notes ORDER BY id DESC LIMIT 1", "n!"},
		} {
			if gone := c.host.current().HasMigration("no_legacy") && when == "in the end"; gone && (x.version == "old" || x.version == "email_not_null") && x.write[0] == 'I' {
				continue // it can no longer be written
			}
			id++
			for _, sql := range []struct{ text, want string }{{x.write, ""}, {x.read, x.want}} {
				text := replaceID(sql.text, id)
				if got := c.through(lens.Version(x.version), text); got != sql.want {
					t.Errorf("%s, %s: %s gave %q, not %q (%s)", when, x.version, text, got, sql.want, c.host.current().Plan(text, rewriteSettings(lens.Version(x.version))).SQL)
				}
			}
		}
	}
	for i := range defs {
		work(defs[i].Name, c.Start(context.Background(), &defs[i], proxy.StartOptions{}))
	}
	play("at dual-write")
	advance(0, lens.Contract)
	advance(2, lens.SwitchReads)
	advance(3, lens.Backfilling)
	play("apart")
	for _, def := range []lens.Definition{
		{Name: "lower", Table: defs[0].Table, Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "mail", Type: "text", Up: "lower(email)"}}}},
		{Name: "upper", Table: defs[0].Table, Columns: &lens.Columns{Drop: []string{"id"}, Down: map[string]string{"id": "length(title)"}}},
	} {
		if err := c.Start(context.Background(), &def, proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) {
			t.Errorf("%s, which mentions another migration's column: %v", def.Name, err)
		}
	}
	advance(3, lens.Complete)
	work(defs[0].Name, c.Verify(context.Background(), defs[0].Name, false))
	advance(0, lens.Complete)
	play("one complete")
	work(defs[2].Name, c.Verify(context.Background(), defs[2].Name, false))
	advance(2, lens.Complete)
	advance(1, lens.Complete)
	play("in the end")
}

func replaceID(sql string, id int) string { return strings.ReplaceAll(sql, "$ID", strconv.Itoa(id)) }

// TestNamesThatBeginAlike has a migration whose name goes on like the names of another one's indexes: what that one leaves behind is taken away, and nothing of the other's.
func TestNamesThatBeginAlike(t *testing.T) {
	e := newEnv(t, "CREATE TABLE goods (id int PRIMARY KEY, price text, weight text); CREATE INDEX ON goods (price); CREATE INDEX ON goods (weight); INSERT INTO goods VALUES (1, '1', '2');")
	change := func(name, column, to string) *lens.Definition {
		return &lens.Definition{
			Name: name, Table: lens.TableName{Schema: "public", Name: "goods"},
			ChangeType: &lens.ChangeType{Column: column, To: to, Type: "bigint", Up: column + "::bigint", Down: to + "::text"},
		}
	}
	p := e.proxy(0)
	work := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the work on "+name+" to end", func() bool {
			for _, m := range p.status().Migrations {
				if m.Name == name {
					return m.Working == "" && m.Error == ""
				}
			}
			return false
		})
	}
	advance := func(name string, to lens.Phase) {
		t.Helper()
		work(name, p.Advance(context.Background(), name, proxy.AdvanceOptions{To: &to, Yes: true}))
	}
	work("a", p.Start(context.Background(), change("a", "price", "cents"), proxy.StartOptions{}))
	work("a_read", p.Start(context.Background(), change("a_read", "weight", "grams"), proxy.StartOptions{}))
	advance("a_read", lens.Contract)
	advance("a", lens.Contract)
	const indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'goods' AND indexname ~ "
	e.want(indexes+"'^segue_a_read_[0-9a-f]{8}$'", "1")
	e.want(indexes+"'^segue_a_read_read_'", "1")
	advance("a", lens.Complete)
	work("a", p.Retire(context.Background(), "a", proxy.RetireOptions{}))
	e.want(indexes+"'^segue_a_read_[0-9a-f]{8}$'", "0")
	e.want(indexes+"'^segue_a_read_read_'", "1")
}

// TestNamesThatComeToOne has two migrations whose functions would have one name.
func TestNamesThatComeToOne(t *testing.T) {
	e := newEnv(t, "CREATE TABLE goods (id int PRIMARY KEY, price text, weight text);")
	change := func(name, column, to string) *lens.Definition {
		return &lens.Definition{
			Name: name, Table: lens.TableName{Schema: "public", Name: "goods"},
			ChangeType: &lens.ChangeType{Column: column, To: to, Type: "bigint", Up: column + "::bigint", Down: to + "::text", OnError: "null"},
		}
	}
	p := e.proxy(0)
	p.ok(p.Start(context.Background(), change("a", "price", "b_c"), proxy.StartOptions{}))
	if err := p.Start(context.Background(), change("a_b", "weight", "c"), proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) || !strings.Contains(err.Error(), "choose another `name`") {
		t.Errorf("a function's name that is taken: %v", err)
	}
	p.ok(p.Start(context.Background(), change("a_c", "weight", "b"), proxy.StartOptions{}))
}
