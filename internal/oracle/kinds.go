package oracle

import (
	"fmt"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// half is what a kind of change says of one column: its type, and values that have a form on the other side, the first of which is the default.
type half struct {
	typ   *sqlType
	words []string
}

// kind is a change of more than a name: {o0}, {o1} stand for the old columns and {n0}, {n1} for the new ones.
type kind struct {
	name     string
	old, new []half
	up, down []string
	lossy    bool
	tight    bool     // the old column may be NULL, the new one may not, and has its first value as its default
	fails    []string // SQLSTATEs of what has no form on the other side
	// keys gives the i-th of many different values on both sides; nil where the kind is not tried with a UNIQUE column.
	keys func(i int) (old, new string)
}

// same gives a number's text for both sides.
func same(i int) (old, new string) { return fmt.Sprint(i * 7), fmt.Sprint(i * 7) }

// kinds are the changes that worlds are made of. The values of one column go with those of any other.
var kinds = []*kind{
	{
		name: "text to bigint", fails: []string{"22P02", "22003", "22000"},
		old: []half{{&sqlType{"varchar(20)", texts, 1043, nil}, []string{"0", "5", "42", "-17", "1234567"}}},
		new: []half{{typeBig, []string{"0", "5", "42", "-17", "1234567"}}},
		up:  []string{"{o0}::bigint"}, down: []string{"{n0}::varchar"}, keys: same,
	},
	{
		name: "integer to bigint", fails: []string{"22003"},
		old: []half{{typeInt, []string{"0", "5", "42", "-17"}}}, new: []half{{typeBig, []string{"0", "5", "42", "-17"}}},
		up: []string{"{o0}::bigint"}, down: []string{"{n0}::integer"}, keys: same,
	},
	{
		name: "numeric to cents", fails: []string{"22003", "22000"},
		old: []half{{typeNumeric, []string{"0", "5", "0.42", "-17.10"}}}, new: []half{{typeBig, []string{"0", "500", "42", "-1710"}}},
		up: []string{"({o0} * 100)::bigint"}, down: []string{"({n0} / 100.0)::numeric(10,2)"},
		keys: func(i int) (string, string) { return fmt.Sprintf("%d.50", i), fmt.Sprintf("%d50", i) },
	},
	{
		name: "text to uuid", fails: []string{"22P02", "22000"},
		old: []half{{typeText, typeUUID.words}}, new: []half{{typeUUID, typeUUID.words}},
		up: []string{"{o0}::uuid"}, down: []string{"{n0}::text"},
		keys: func(i int) (string, string) {
			id := fmt.Sprintf("%08x-0000-0000-0000-000000000001", i)
			return id, id
		},
	},
	{
		name: "integer to text", fails: []string{"22P02", "22003", "22000"},
		old: []half{{typeInt, []string{"0", "5", "42", "-17"}}}, new: []half{{typeText, []string{"0", "5", "42", "-17"}}},
		up: []string{"{o0}::text"}, down: []string{"{n0}::integer"}, keys: same,
	},
	{
		name: "date to timestamp", fails: []string{"22000"},
		old: []half{{typeDate, typeDate.words}}, new: []half{{typeTime, []string{"2024-01-01 00:00:00", "2023-12-31 00:00:00", "1999-02-28 00:00:00"}}},
		up: []string{"{o0}::timestamp"}, down: []string{"{n0}::date"},
	},
	{
		name: "timestamp to timestamptz",
		old:  []half{{typeTime, typeTime.words}}, new: []half{{typeZoned, []string{"2024-01-01 00:00:00+00", "2023-12-31 23:59:59.5+00", "1999-02-28 12:00:00+00"}}},
		up: []string{"{o0} AT TIME ZONE 'UTC'"}, down: []string{"{n0} AT TIME ZONE 'UTC'"},
	},
	{
		name: "boolean to integer", fails: []string{"22000"},
		old: []half{{typeBool, []string{"f", "t"}}}, new: []half{{typeInt, []string{"0", "1"}}},
		up: []string{"{o0}::integer"}, down: []string{"{n0}::boolean"},
	},
	{
		name: "bytea to hex", fails: []string{"22000", "22023"},
		old: []half{{typeBlob, []string{`\x00ff`, `\x`, `\x616e6e`}}}, new: []half{{typeText, []string{"00ff", "", "616e6e"}}},
		up: []string{"encode({o0}, 'hex')"}, down: []string{"decode({n0}, 'hex')"},
	},
	{
		name: "longer text", fails: []string{"22001", "22000"},
		old: []half{{typeVarchar, []string{"anon", "Ann", "Zoë", ""}}}, new: []half{{typeText, []string{"anon", "Ann", "Zoë", ""}}},
		up: []string{"{o0}::text"}, down: []string{"{n0}::varchar(40)"},
	},
	{
		name: "jsonb to text", fails: []string{"22000", "22P02"},
		old: []half{{typeJSON, []string{`{"a": 1}`, `[1, 2]`, `"ann"`}}}, new: []half{{typeText, []string{`{"a": 1}`, `[1, 2]`, `"ann"`}}},
		up: []string{"{o0}::text"}, down: []string{"{n0}::jsonb"},
	},
	{
		name: "two texts to one", fails: []string{"22000"},
		old: []half{{typeText, []string{"No", "Ann", "Zoë", ""}}, {typeText, []string{"Name", "Lee", "O'Brien", ""}}},
		new: []half{{typeText, []string{"No Name", "Ann Lee", "Zoë O'Brien", " Lee"}}},
		up:  []string{"{o0} || ' ' || {o1}"}, down: []string{"split_part({n0}, ' ', 1)", "substr({n0}, strpos({n0}, ' ') + 1)"},
	},
	{
		name: "text to text and integer", fails: []string{"22000", "22P02", "22003"},
		old: []half{{typeText, []string{"A-0", "A-12", "Zoë-7", "-3"}}},
		new: []half{{typeText, []string{"A", "Zoë", ""}}, {typeInt, []string{"0", "12", "7"}}},
		up:  []string{"split_part({o0}, '-', 1)", "split_part({o0}, '-', 2)::integer"}, down: []string{"{n0} || '-' || {n1}::text"},
	},
	{
		name: "two integers to a list", fails: []string{"22000", "23502"}, // 23502: a list of one, where the columns may not be NULL
		old: []half{{typeInt, []string{"0", "7", "42"}}, {typeInt, []string{"0", "5", "42"}}},
		new: []half{{typeInts, []string{"{0,0}", "{7,5}", "{42,-1}"}}},
		up:  []string{"CASE WHEN {o0} IS NULL OR {o1} IS NULL THEN NULL ELSE ARRAY[{o0}, {o1}] END"}, down: []string{"{n0}[1]", "{n0}[2]"},
	},
	{
		name: "two to two", fails: []string{"22003"},
		old: []half{{typeText, []string{"x", "Ann", ""}}, {typeInt, []string{"0", "5", "42"}}},
		new: []half{{typeText, []string{"x", "Ann", ""}}, {typeBig, []string{"0", "5", "42"}}},
		up:  []string{"{o0}", "{o1}::bigint"}, down: []string{"{n0}", "{n1}::integer"},
	},
	{
		name: "no NULL in text", tight: true, fails: []string{"22000"},
		old: []half{{typeText, []string{"Ann", "Zoë", " ", "42"}}}, new: []half{{typeText, []string{"", "Ann", "Zoë", " ", "42"}}},
		up: []string{"COALESCE({o0}, '')"}, down: []string{"NULLIF({n0}, '')"},
	},
	{
		name: "no NULL in integers", tight: true, fails: []string{"22000", "22003"},
		old: []half{{typeInt, []string{"5", "42", "-17"}}}, new: []half{{typeBig, []string{"0", "5", "42", "-17"}}},
		up: []string{"COALESCE({o0}, 0)::bigint"}, down: []string{"NULLIF({n0}, 0)::integer"},
	},
	{
		name: "text to two, lossy", lossy: true,
		old: []half{{typeText, []string{"x, y", "1 High St, Ely", "3 Mews, Deal", ", "}}},
		new: []half{{typeText, []string{"x", "1 High St", "3 Mews", ""}}, {typeText, []string{"y", "Ely", "Deal", ""}}},
		up:  []string{"split_part({o0}, ', ', 1)", "split_part({o0}, ', ', 2)"}, down: []string{"{n0} || ', ' || {n1}"},
	},
}

// change is one migration of a world.
type change struct {
	*Variant
	kind   string
	halves [2][]half
	lossy  bool
	fails  []string
	split  *splitting // nil for one that splits no table
}

// unify makes the change's column UNIQUE, with its rows' values.
func (c *change) unify(keys func(i int) (old, new string)) {
	c.Unique = true
	c.Columns[OldSide][0].Default, c.Columns[NewSide][0].Default = "", ""
	var words [2][]string
	for i := range 16 {
		o, n := keys(i + 1)
		words[0], words[1] = append(words[0], o), append(words[1], n)
	}
	for s := range c.halves {
		c.halves[s] = []half{{c.halves[s][0].typ, words[s]}}
	}
}

// change is a migration of that kind: names gives the columns' names, as they are.
func (k *kind) change(table string, names [2][]string, strict [2]bool) *change {
	var pairs []string
	for s, list := range names {
		for i, n := range list {
			pairs = append(pairs, "{"+[]string{"o", "n"}[s]+string(rune('0'+i))+"}", catalog.QuoteIdent(n))
		}
	}
	fill := strings.NewReplacer(pairs...)
	notNull, hasDefault := strict[0], strict[1]
	columns := func(s Side, halves []half) []Column {
		var out []Column
		for i, h := range halves {
			c := Column{Name: names[s][i], Type: h.typ.SQL, NotNull: notNull && !k.tight || k.tight && s == NewSide}
			if hasDefault && !k.tight || k.tight && s == NewSide {
				c.Default = quoteText(h.words[0]) + "::" + h.typ.SQL
			}
			out = append(out, c)
		}
		return out
	}
	v := &Variant{Name: k.name, Table: table, Columns: [2][]Column{columns(OldSide, k.old), columns(NewSide, k.new)}}
	if len(k.old) == 1 && len(k.new) == 1 {
		v.Pattern.ChangeType = &lens.ChangeType{
			Column: names[0][0], To: names[1][0], Type: k.new[0].typ.SQL, Up: fill.Replace(k.up[0]), Down: fill.Replace(k.down[0]), NotNull: notNull || k.tight,
		}
		if k.tight {
			v.Pattern.ChangeType.Default = v.Columns[NewSide][0].Default
		}
	} else {
		c := &lens.Columns{Drop: names[0], Down: map[string]string{}}
		for i, h := range k.new {
			c.Add = append(c.Add, lens.AddColumn{Name: names[1][i], Type: h.typ.SQL, Up: fill.Replace(k.up[i]), NotNull: notNull})
		}
		for i, n := range names[0] {
			c.Down[n] = fill.Replace(k.down[i])
		}
		v.Pattern.Columns = c
	}
	if k.lossy {
		v.Pattern.Allow = []string{"lossy"}
	}
	return &change{Variant: v, kind: k.name, halves: [2][]half{k.old, k.new}, lossy: k.lossy, fails: k.fails}
}

// renaming is a migration that renames a column of a type.
func renaming(table, from, to string, t *sqlType, strict [2]bool) *change {
	c := Column{Type: t.SQL, NotNull: strict[0]}
	if strict[1] {
		c.Default = quoteText(t.words[0]) + "::" + t.SQL
	}
	o, n := c, c
	o.Name, n.Name = from, to
	h := []half{{t, t.words}}
	return &change{
		Variant: &Variant{
			Name: "rename", Table: table, Columns: [2][]Column{{o}, {n}},
			Pattern: lens.Definition{RenameColumn: &lens.RenameColumn{From: from, To: to}},
		},
		kind: "rename", halves: [2][]half{h, h},
	}
}
