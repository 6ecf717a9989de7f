package rewrite

import (
	"strings"
	"testing"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

func TestUnsettles(t *testing.T) {
	for sql, want := range map[string]Unsettling{
		"SELECT role, names, temperature FROM users":           Settled,
		"UPDATE t\nSET role = 'x'":                             Settled,
		"SET LOCAL statement_timeout = '5s'":                   Settled,
		"set session application_name to 'x'":                  Settled,
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": Settled,
		"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE":         Settled,
		"SET TIME ZONE 'UTC'":                                  Settled,
		"BEGIN; SET LOCAL lock_timeout = 1; SELECT 1":          Settled,
		"SET search_path = x":                                  Unsettle,
		`SET LOCAL "search_path" = x`:                          Unsettle,
		`SET "role" = x`:                                       Unsettle,
		"SET ROLE x":                                           Unsettle,
		"SET LOCAL ROLE x":                                     Unsettle,
		"/* c */ SET SESSION /* d */ ROLE x":                   Unsettle,
		"SET SESSION AUTHORIZATION x":                          Unsettle,
		"SET SCHEMA 'x'":                                       Unsettle,
		"SET NAMES 'latin1'":                                   Unsettle,
		"SET client_encoding = 'latin1'":                       Unsettle,
		"SET segue.version = 'new'":                            Unsettle,
		"RESET ALL":                                            Unsettle,
		"discard temp":                                         Unsettle,
		"SELECT set_config('Search_Path', 'x', false)":         Unsettle,
		"CREATE TEMP TABLE t (a int)":                          Unsettle,
		"SELECT 1 INTO TEMPORARY t":                            Unsettle,
		"DROP TABLE t":                                         Unsettle,
		"SELECT 1; -- x\nRESET ROLE":                           Unsettle,
		"ROLLBACK TO s":                                        Restores,
		" abort":                                               Restores,
		"COMMIT":                                               Settled,
		"UPDATE t SET x = 'temp set_config'; SELECT 1":         Settled,
		"INSERT INTO sensors (temp) VALUES (1) -- set_config":  Settled,
		`SELECT "set_config"('search_path', 'x', false)`:       Unsettle,
		"SELECT 1 AS x INTO pg_temp.t":                         Unsettle,
		"SELECT 'a' || set_config('x', 'it is unfinished":      Unsettle,
		"": Settled,
	} {
		if got := Unsettles(sql); got != want {
			t.Errorf("%q: got %d", sql, got)
		}
	}
}

func TestWordsAreFoundWhole(t *testing.T) {
	w := newWordSet([]string{"users", `odd"name`, "tä"})
	for s, want := range map[string]bool{
		"SELECT * FROM users": true, "users": true, "USERS;": true, `"users"`: true, "public.users": true, "superusers": false, "users2": false, "users_x": false,
		"user": false, `FROM "odd""name"`: true, `odd"name`: false, "tä": true, "tää": false, "": false,
	} {
		if got := w.in(s); got != want {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func TestDropsOfOtherTablesSettleNothing(t *testing.T) {
	st := testState(t, stages[0])
	for sql, want := range map[string]Unsettling{
		"DROP TABLE IF EXISTS nonsuch": Settled,
		"/* c */ drop view v":          Settled,
		"DROP TABLE users":             Unsettle,
		"DROP SCHEMA s":                Unsettle,
		"CREATE TABLE t (a int)":       Unsettle,
		"SELECT 1":                     Settled,
	} {
		if got := st.Unsettles(sql); got != want {
			t.Errorf("%q: got %d", sql, got)
		}
	}
}

func TestNamesInOtherEncodingsAreMentioned(t *testing.T) {
	cat := catalog.New([]*catalog.Relation{{OID: 1, Schema: "public", Name: "größe", Columns: []catalog.Column{{Name: "name", Num: 1}}}}, nil, nil)
	st, err := NewState(1, cat, []Migration{{Definition: &lens.Definition{
		Name: "m", Table: lens.TableName{Schema: "public", Name: "größe"}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]bool{"SELECT * FROM größe": true, "SELECT * FROM gr\xf6\xdfe": true, "SELECT 'ä' FROM t": false, "SELECT 1": false} {
		if got := st.Mentions(sql); got != want {
			t.Errorf("%q: got %v", sql, got)
		}
	}
}

func TestManyNamesAndLongOnes(t *testing.T) {
	long := strings.Repeat("x", 61) + "é" // the server cuts longer spellings off before a character that does not fit
	w := newWordSet([]string{"events_2024", "Events 2025", long[:61], strings.Repeat("y", 63)})
	for s, want := range map[string]bool{
		"select * from Events_2024;": true, "events_20245": false, "xevents_2024": false, "events_202": false, `"events 2025"`: true, "events 2025x": false,
		"select " + long + "more": true, "select " + long[:61] + "a": false, strings.Repeat("Y", 70): true, strings.Repeat("y", 62): false,
		"x.events_2024.y": true, "'events_2024'": true, "": false,
	} {
		if got := w.in(s); got != want {
			t.Errorf("%q: got %v", s, got)
		}
	}
}
