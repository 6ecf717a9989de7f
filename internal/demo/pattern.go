package demo

import (
	"fmt"
	"strings"

	"segue/rewrite/lens"
)

// pattern is what the demo carries out: in all of them, what the old application calls users.name is full_name for the new one.
type pattern struct {
	name string
	toml string // the migration's pattern, as its file has it
	new  dialect
	says string // the new schema, for people
	// from is the phase from which on the new application is served.
	from lens.Phase
	// quiet says that complete waits until old code is quiet.
	quiet bool

	both  string // SQL: whether both places of the name are there
	apart string // SQL: in how many rows they differ; $1 says whether all are filled
	final string // SQL: FROM and GROUP BY of the table at the end, for the name's column as n.name
}

var patterns = []pattern{
	{
		name: "rename", new: newDialect, says: "users (id, full_name)",
		toml: "[rename_column]\nfrom = \"name\"\nto   = \"full_name\"\n",
		both: bothColumns, apart: columnsApart, final: finalColumn,
	},
	{
		name: "type", new: newDialect, says: "users (id, full_name text)",
		toml: "[change_type]\ncolumn   = \"name\"\nto       = \"full_name\"\ntype     = \"text\"\nup       = \"name::text\"\ndown     = \"full_name::varchar(60)\"\nnot_null = true\n",
		both: bothColumns, apart: columnsApart, final: finalColumn,
	},
	{
		name: "split", new: splitDialect, says: "users (id) and profiles (user_id, full_name)", from: lens.SwitchReads, quiet: true,
		toml: "[split_table]\nto      = \"public.profiles\"\nkey     = { id = \"user_id\" }\ncolumns = { name = \"full_name\" }\ncreate  = \"\"\"CREATE TABLE public.profiles (\n" +
			"  user_id   bigint PRIMARY KEY REFERENCES public.users (id) ON DELETE CASCADE,\n  full_name varchar(60) NOT NULL);\n" +
			"CREATE INDEX profiles_full_name ON public.profiles (full_name)\"\"\"\n",
		both:  `SELECT to_regclass('profiles') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'name' AND NOT attisdropped)`,
		apart: `SELECT count(*) FROM users u FULL JOIN profiles p ON p.user_id = u.id WHERE u.name IS DISTINCT FROM p.full_name AND ($1 OR p.user_id IS NOT NULL)`,
		final: `FROM users u LEFT JOIN (SELECT user_id, full_name FROM profiles) n (id, name) ON n.id = u.id LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, n.name`,
	},
}

const (
	bothColumns  = `SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname IN ('name', 'full_name') AND NOT attisdropped`
	columnsApart = `SELECT count(*) FROM users WHERE name IS DISTINCT FROM full_name AND ($1 OR full_name IS NOT NULL)`
	finalColumn  = `FROM users u JOIN (SELECT id, full_name FROM users) n (id, name) ON n.id = u.id LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, n.name`
	finalOld     = `FROM users u JOIN (SELECT id, name FROM users) n (id, name) ON n.id = u.id LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, n.name`
)

// PatternNames are the patterns that the demo can carry out.
func PatternNames() []string {
	var names []string
	for i := range patterns {
		names = append(names, patterns[i].name)
	}
	return names
}

// patternOf gives a pattern by its name; "" is the rename.
func patternOf(name string) (*pattern, error) {
	if name == "" {
		return &patterns[0], nil
	}
	for i := range patterns {
		if patterns[i].name == name {
			return &patterns[i], nil
		}
	}
	return nil, fmt.Errorf("the demo has no pattern %q: it has %s", name, strings.Join(PatternNames(), ", "))
}
