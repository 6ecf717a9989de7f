package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// contacts tightens a column: what was NULL becomes a value, and new code calls the new column by the old name.
func contacts() lens.Definition {
	return lens.Definition{
		Name: "email_not_null", Table: lens.TableName{Schema: "public", Name: "contacts"},
		Columns: &lens.Columns{
			Drop: []string{"email"},
			Add: []lens.AddColumn{{
				Name: "email_v2", Type: "text", Up: "COALESCE(email, 'none')", NotNull: true, Check: "email_v2 <> ''", Default: "'none'", AppName: "email",
			}},
			Down: map[string]string{"email": "NULLIF(email_v2, 'none')"},
		},
	}
}

// emails has a column computed beside one that stays.
func emails() lens.Definition {
	return lens.Definition{
		Name: "email_lower", Table: lens.TableName{Schema: "public", Name: "contacts"},
		Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "mail", Type: "text", Up: "COALESCE(lower(email), '-')", NotNull: true, Default: "'later'", Check: "mail <> 'x'"}}},
	}
}

// legacy drops a column, of which old code reads a constant in the end.
func legacy(down string) lens.Definition {
	d := lens.Definition{Name: "no_legacy", Table: lens.TableName{Schema: "public", Name: "contacts"}, Columns: &lens.Columns{Drop: []string{"legacy"}}}
	if down != "" {
		d.Columns.Down = map[string]string{"legacy": down}
	}
	return d
}

const contactsTable = `
CREATE TABLE contacts (id int PRIMARY KEY, email text, legacy varchar(20) NOT NULL, label text);
CREATE INDEX contacts_email_idx ON contacts (email);
CREATE INDEX contacts_legacy_idx ON contacts (legacy, label);
ALTER TABLE contacts ADD CONSTRAINT named CHECK (legacy <> label);
INSERT INTO contacts SELECT i, CASE WHEN i % 3 > 0 THEN 'U' || i END, 'l' || i FROM generate_series(1, 50) i;
`

func general() []pattern {
	atStart := func(s lens.Stage) bool { return s.Phase == lens.Pending }
	is := func(b bool, then, otherwise string) string {
		if b {
			return then
		}
		return otherwise
	}
	return []pattern{
		{
			name: "tighten", setup: contactsTable, def: contacts(),
			script: func(s lens.Stage) []act {
				return []act{
					{lens.Old, "INSERT INTO contacts (id, legacy) VALUES (ID, 'l') RETURNING email IS NULL", "true"},
					{lens.New, "SELECT email FROM contacts WHERE id = ID AND email = 'none'", "none"},
					{lens.New, "UPDATE contacts SET email = NULL WHERE id = ID", "23502"},
					{lens.New, "UPDATE contacts SET email = lower('A') WHERE id = ID RETURNING email", "a"},
					{lens.Old, "SELECT email FROM contacts WHERE id = ID", "a"},
					{lens.Old, "UPDATE contacts SET email = NULL WHERE id = ID", ""},
					{lens.New, "SELECT email FROM contacts WHERE id = ID", "none"},
					{lens.New, "UPDATE contacts SET email = DEFAULT WHERE id = ID RETURNING email", "none"},
					{lens.Old, "SELECT email IS NULL FROM contacts WHERE id = ID", "true"},
					{lens.Old, "UPDATE contacts SET email = '' WHERE id = ID", is(atStart(s) && s.Step == lens.NoStep, "", "23514")},
					{lens.Old, "UPDATE contacts SET email = 'none' WHERE id = ID", is(atStart(s) && s.Step == lens.NoStep, "", "22000")},
					{lens.Old, "UPDATE contacts SET email = 'B' WHERE id = ID", ""},
					{lens.New, "UPDATE contacts SET email = '' WHERE id = ID", is(atStart(s) && s.Step == lens.NoStep, "", "23514")},
					{lens.Old, "UPDATE contacts SET email = 'C' WHERE id = ID", ""},
					{lens.New, "INSERT INTO contacts (id, legacy) VALUES (ID + 1000, 'l') RETURNING email", "none"},
					{lens.New, "INSERT INTO contacts (id, legacy, email) VALUES (ID + 2000, 'l', DEFAULT) RETURNING email", "none"},
					{lens.New, "INSERT INTO contacts (id, legacy, email) VALUES (ID + 3000, 'l', NULL)", "23502"},
					{lens.Old, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'contacts'::regclass AND attname = 'email'", "f"},
					{lens.New, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'contacts'::regclass AND attname = 'email'", "true"},
				}
			},
			final: "CREATE INDEX contacts_email_idx ON public.contacts USING btree (email)",
		},
		{
			name: "add", setup: contactsTable, def: emails(),
			script: func(s lens.Stage) []act {
				own := s.Phase >= lens.Complete
				acts := []act{
					{lens.Old, "INSERT INTO contacts (id, legacy, email) VALUES (ID, 'l', 'ABC')", ""},
					{lens.New, "SELECT mail FROM contacts WHERE id = ID AND mail = 'abc'", "abc"},
					{lens.Old, "UPDATE contacts SET email = 'DEF' WHERE id = ID", ""},
					{lens.New, "SELECT mail FROM contacts WHERE id = ID", "def"},
					{lens.New, "UPDATE contacts SET email = 'GHI' WHERE id = ID RETURNING mail", "ghi"},
					{lens.New, "INSERT INTO contacts (id, legacy, email) VALUES (ID + 1000, 'l', 'JKL') RETURNING mail", "jkl"},
					{lens.Old, "UPDATE contacts SET email = 'X' WHERE id = ID", is(atStart(s) && s.Step == lens.NoStep, "", "23514")},
					{lens.Old, "UPDATE contacts SET email = 'GHI' WHERE id = ID", ""},
				}
				if s.Phase < lens.DualWrite || s.Step == lens.WriteOld {
					return append(acts, act{lens.New, "UPDATE contacts SET mail = 'ghi' WHERE id = ID", refused})
				}
				return append(acts, []act{
					{lens.New, "UPDATE contacts SET mail = 'ghi' WHERE id = ID", ""},
					{lens.New, "INSERT INTO contacts (id, legacy, email, mail) VALUES (ID + 2000, 'l', 'M', 'm') RETURNING mail", "m"},
					{lens.New, "INSERT INTO contacts (id, legacy, email, mail) VALUES (ID + 3000, 'l', 'M', DEFAULT) RETURNING mail", "m"},
					{lens.New, "INSERT INTO contacts (id, legacy, email, mail) VALUES (ID + 4000, 'l', 'M', NULL)", "23502"},
					{lens.New, "UPDATE contacts SET mail = 'mine' WHERE id = ID RETURNING mail", is(own, "mine", "23000")},
					{lens.New, "UPDATE contacts SET label = 'x' WHERE id = ID RETURNING mail", is(own, "mine", "ghi")},
					{lens.New, "UPDATE contacts SET mail = 'n', email = 'N' WHERE id = ID RETURNING mail", "n"},
					{lens.New, "UPDATE contacts SET mail = 'q', email = 'P' WHERE id = ID RETURNING mail", is(own, "q", "23000")},
					{lens.Old, "UPDATE contacts SET email = 'R' WHERE id = ID", ""},
					{lens.New, "SELECT mail FROM contacts WHERE id = ID", "r"},
				}...)
			},
			final: "mail text DEFAULT 'later'::text NOT NULL,\n    CONSTRAINT contacts_mail_check CHECK ((mail <> 'x'::text))",
		},
		{
			name: "drop", setup: contactsTable, def: legacy("'gone'"),
			script: func(s lens.Stage) []act {
				acts := []act{
					{lens.New, "INSERT INTO contacts (id) VALUES (ID) RETURNING to_json(contacts)::text LIKE '%legacy%'", "f"},
					{lens.New, "SELECT legacy FROM contacts", "42703"},
					{lens.Old, "SELECT legacy FROM contacts WHERE id = ID", "gone"},
				}
				if gone(s) {
					return append(acts, []act{
						{lens.Old, "SELECT count(*) FROM contacts WHERE legacy <> 'gone'", "0"},
						{lens.Old, "UPDATE contacts SET legacy = 'x' WHERE id = ID", refused},
						{lens.Old, "INSERT INTO contacts (id, label) VALUES (ID + 1000, 'y') RETURNING legacy", "gone"},
						{lens.Old, "INSERT INTO contacts VALUES (ID + 2000, 'e', 'l')", refused},
					}...)
				}
				return append(acts, []act{
					{lens.Old, "INSERT INTO contacts (id) VALUES (ID + 1000)", "23502"},
					{lens.Old, "UPDATE contacts SET legacy = 'x' WHERE id = ID RETURNING legacy", "x"},
					{lens.Old, "INSERT INTO contacts VALUES (ID + 2000, 'e', 'l') RETURNING legacy", "l"},
					{lens.New, "INSERT INTO contacts SELECT id + 100000, email FROM contacts WHERE id = ID", ""},
					{lens.Old, "SELECT legacy FROM contacts WHERE id = ID + 100000", "gone"},
					{lens.Old, "UPDATE contacts SET label = 'x' WHERE id = ID", "23514"},
				}...)
			},
		},
		{
			name: "drop, one way", setup: contactsTable + "ALTER TABLE contacts ALTER legacy SET DEFAULT 'd'", def: legacy(""),
			script: func(s lens.Stage) []act {
				acts := []act{{lens.New, "INSERT INTO contacts (id) VALUES (ID)", ""}, {lens.Old, "SELECT email FROM contacts WHERE id = ID", "NULL"}}
				return append(acts, act{lens.Old, "SELECT legacy FROM contacts WHERE id = ID", is(gone(s), refused, "d")})
			},
		},
	}
}

// TestGeneral carries the general form in its full width there, back, and there to the end.
func TestGeneral(t *testing.T) {
	for _, x := range general() {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			c := e.carrier(x)
			c.start()
			c.advance(lens.Contract)
			c.rollback(lens.Pending)
			c.drop()
			if got := e.dump(); got != before {
				t.Fatalf("after rolling back:\n%s", got)
			}
			c.start()
			reads := lens.SwitchReads
			c.ok(c.Advance(context.Background(), c.def.Name, proxy.AdvanceOptions{To: &reads, Unproved: true}))
			if x.def.Columns.Add != nil {
				c.ok(c.Verify(context.Background(), c.def.Name, false))
			}
			c.advance(lens.Complete)
			if err := c.Rollback(context.Background(), c.def.Name, proxy.AdvanceOptions{}); !errors.Is(err, proxy.ErrConflict) {
				t.Errorf("rollback from complete: %v", err)
			}
			c.ok(c.Retire(context.Background(), c.def.Name, proxy.RetireOptions{}))
			for _, point := range []string{"expand", "dual-write", "backfill", "switch-reads", "contract", "infer-new", "write-new", "complete", "write-old"} {
				if !c.seen[point] {
					t.Errorf("nobody wrote at %s", point)
				}
			}
			if after := e.dump(); strings.Contains(after, "segue") || !strings.Contains(after, x.final) {
				t.Errorf("there is no %s, or something of Segue's is left:\n%s", x.final, after)
			}
			e.want("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contacts'::regclass", "0")
			c.drop()
		})
	}
}
