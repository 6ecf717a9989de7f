package oracle

import (
	"fmt"
	"strconv"
	"strings"

	"segue/rewrite/catalog"
)

// seedNames are what a renamed column holds in the rows that every case begins with.
var seedNames = [][]string{
	{`'Ann'`}, {`'Bob'`}, {`'Ann'`}, {`'O''Brien'`}, {`''`}, {`NULL`}, {`'Zoë'`}, {`'abcdefghijklmnopqrstuvwxyz0123456789ABCD'`}, {`'ann'`}, {`'name'`}, {`'42'`}, {`'Carl'`},
}

// seedRest is the rest of those rows: email and age as SQL. An id is the place in the list, from 1.
var seedRest = [...][2]string{
	{`'ann@x'`, `30`},
	{`'bob@x'`, `25`},
	{`NULL`, `41`},
	{`'ob@x'`, `NULL`},
	{`'e5@x'`, `18`},
	{`'null@x'`, `60`},
	{`'zoe@x'`, `99`},
	{`'long@x'`, `7`},
	{`'ann2@x'`, `30`},
	{`NULL`, `NULL`},
	{`'42@x'`, `42`},
	{`'carl@x'`, `41`},
}

// notFilled is true, as SQL over the row's id, where the row's new columns are still empty in a form that has such rows.
const notFilled = "id % 2 = 0"

// unfilled says the same of a row that is there.
func unfilled(id int) bool { return id%2 == 0 && id <= len(seedRest) }

// seed gives the statements that bring a database of that form to the state that cases begin with. Rows are written once, with
// the guard off, so that they lie in the same order in every form.
func (v *Variant) seed(f Form) []string {
	t := v.table()
	if v.splits() {
		return v.splitSeed(f == RefNew || f == NewOnly, f.guarded())
	}
	sql := []string{`TRUNCATE ` + t + `, orders, people`}
	if f.guarded() {
		sql = append(sql, `ALTER TABLE `+t+` DISABLE TRIGGER zz_guard`)
	}
	var rows, names, cols, values []string
	for i, rest := range seedRest {
		r := []string{strconv.Itoa(i + 1)}
		for j, c := range v.Columns[OldSide] {
			value := v.Seed[i][j]
			if value == `NULL` && c.NotNull {
				value = c.Default
			}
			r = append(r, "("+value+")::"+c.Type)
		}
		rows = append(rows, "("+strings.Join(append(r, rest[0], rest[1]), ", ")+")")
	}
	for i, c := range v.Columns[OldSide] {
		names = append(names, catalog.QuoteIdent(c.Name))
		if f.has(OldSide) {
			cols = append(cols, names[i])
			values = append(values, "s."+names[i])
		}
	}
	if f.has(NewSide) {
		for i, up := range v.image(NewSide, "s") {
			c := &v.Columns[NewSide][i]
			name := c.Name
			if f == RefNew {
				name = c.as()
			}
			if f == Unfilled {
				up = "CASE WHEN s." + notFilled + " THEN NULL ELSE " + up + " END"
			}
			cols = append(cols, catalog.QuoteIdent(name))
			values = append(values, up)
		}
	}
	sql = append(sql,
		fmt.Sprintf(`INSERT INTO %s (id, %s, email, age) SELECT s.id, %s, s.email, s.age FROM (VALUES %s) AS s (id, %s, email, age) ORDER BY s.id`,
			t, strings.Join(cols, ", "), strings.Join(values, ", "), strings.Join(rows, ", "), strings.Join(names, ", ")),
	)
	sql = append(sql, neighbourRows...)
	if f.guarded() {
		sql = append(sql, `ALTER TABLE `+t+` ENABLE ALWAYS TRIGGER zz_guard`)
	}
	return append(sql, `ANALYZE `+t)
}

// begin sets what a rollback does not undo and what makes volatile functions repeatable: how often one was called can be seen.
func (v *Variant) begin() string {
	return fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%s', 'id'), 100), setval('ticks', 1000), setseed(0.25)`, v.table())
}

// contents gives the query of everything that a statement may have changed, as code of a side sees it. Where the form has both sides, the last two
// columns of the first result say whether the row's sides agree, and whether its new columns are all NULL.
func (v *Variant) contents(f Form, s Side) string {
	if v.splits() {
		return v.splitContents(s)
	}
	var cols []string
	extra := ""
	switch {
	case f == RefNew:
		for i := range v.Columns[NewSide] {
			cols = append(cols, "t."+catalog.QuoteIdent(v.Columns[NewSide][i].as()))
		}
	case f.has(OldSide) && f.has(NewSide):
		cols = v.each(s, "t")
		empty := unset(v.each(NewSide, "t"))
		if s == NewSide {
			for i, up := range v.image(NewSide, "t") {
				cols[i] = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", empty, up, cols[i])
			}
		}
		extra = ", " + v.agree("t") + ", " + empty
	case f.has(s):
		cols = v.each(s, "t")
	default:
		cols = v.image(s, "t")
	}
	return fmt.Sprintf(`SELECT id, %s, email, age, created_at%s FROM %s t ORDER BY id`, strings.Join(cols, ", "), extra, v.table()) + restContents(v.table())
}

// logical takes what only a migrating table has out of the rows of contents' first result, and says which rows' sides do not agree where that
// form may not have it.
func (f Form) logical(events []Event) (out []Event, apart string) {
	if !f.has(OldSide) || !f.has(NewSide) {
		return events, ""
	}
	first := true
	for _, e := range events {
		switch {
		case !first:
		case e.Kind == RowDescription:
			e.Fields = e.Fields[:len(e.Fields)-2]
		case e.Kind == DataRow:
			last := len(e.Values) - 2
			id, agrees, empty := *e.Values[0], *e.Values[last], *e.Values[last+1]
			if i, err := strconv.Atoi(id); agrees != "t" && (f != Unfilled || empty != "t" || err != nil || !unfilled(i)) {
				apart += fmt.Sprintf("row %s: %s\n", id, showAll(e.Values[1:last]))
			}
			e.Values = e.Values[:last]
		case e.Kind == CommandComplete:
			first = false
		}
		out = append(out, e)
	}
	return out, apart
}

func show(v *string) string {
	if v == nil {
		return "NULL"
	}
	return strconv.Quote(*v)
}

func showAll(values []*string) string {
	var out []string
	for _, v := range values {
		out = append(out, show(v))
	}
	return strings.Join(out, ", ")
}
