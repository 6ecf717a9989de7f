package rewrite

import (
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
