package oracle

import (
	"fmt"
	"strconv"
	"strings"
)

// seedUsers are the rows that every case begins with: name, email, age as SQL. An id is the place in the list, from 1.
var seedUsers = [][3]string{
	{`'Ann'`, `'ann@x'`, `30`},
	{`'Bob'`, `'bob@x'`, `25`},
	{`'Ann'`, `NULL`, `41`},
	{`'O''Brien'`, `'ob@x'`, `NULL`},
	{`''`, `'e5@x'`, `18`},
	{`NULL`, `'null@x'`, `60`},
	{`'Zoë'`, `'zoe@x'`, `99`},
	{`'abcdefghijklmnopqrstuvwxyz0123456789ABCD'`, `'long@x'`, `7`},
	{`'ann'`, `'ann2@x'`, `30`},
	{`'name'`, `NULL`, `NULL`},
	{`'42'`, `'42@x'`, `42`},
	{`'Carl'`, `'carl@x'`, `41`},
}

// unfilled says whether the row's new column is still empty where the form has such rows.
func unfilled(id int) bool { return id%2 == 0 }

// seed gives the statements that bring a database of that form to the state that cases begin with. Rows are written once, with
// the guard off, so that they lie in the same order in every form.
func (v *Variant) seed(f Form) []string {
	t := v.table()
	guard := f >= Unfilled && f < NewOnly
	sql := []string{`TRUNCATE ` + t + `, orders, people`}
	if guard {
		sql = append(sql, `ALTER TABLE `+t+` DISABLE TRIGGER zz_guard`)
	}
	var cols []string
	for _, s := range []Side{OldSide, NewSide} {
		if f.has(s) {
			cols = append(cols, v.column(s))
		}
	}
	var rows []string
	for i, r := range seedUsers {
		name := r[0]
		if name == `NULL` && !v.Null {
			name = `'anon'`
		}
		values := []string{name}
		if f.has(OldSide) && f.has(NewSide) {
			if f == Unfilled && unfilled(i+1) {
				values = append(values, `NULL`)
			} else {
				values = append(values, name)
			}
		}
		rows = append(rows, fmt.Sprintf(`(%d, %s, %s, %s)`, i+1, strings.Join(values, ", "), r[1], r[2]))
	}
	sql = append(sql,
		fmt.Sprintf(`INSERT INTO %s (id, %s, email, age) VALUES %s`, t, strings.Join(cols, ", "), strings.Join(rows, ", ")),
		`INSERT INTO orders VALUES (1, 1, 10.50, 'Ann'), (2, 1, 20, 'book'), (3, 2, 5, NULL), (4, 3, 7.25, 'Bob'), (5, NULL, 1, 'x'), (6, 7, 3, 'Zoë')`,
		`INSERT INTO people VALUES (1, 'Ann'), (2, 'Carl'), (3, NULL), (30, 'Bob')`,
	)
	if guard {
		sql = append(sql, `ALTER TABLE `+t+` ENABLE ALWAYS TRIGGER zz_guard`)
	}
	return append(sql, `ANALYZE `+t)
}

// begin sets what a rollback does not undo and what makes volatile functions repeatable: how often one was called can be seen.
func (v *Variant) begin() string {
	return fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%s', 'id'), 100), setval('ticks', 1000), setseed(0.25)`, v.table())
}

// contents gives the query of everything that a statement may have changed. Where the form has both columns, the new one is the last
// of the first result.
func (v *Variant) contents(f Form) string {
	own, extra := v.column(OldSide), ""
	switch {
	case !f.has(OldSide):
		own = v.column(NewSide)
	case f.has(NewSide):
		extra = ", " + v.column(NewSide)
	}
	return fmt.Sprintf(`SELECT id, %s, email, age, created_at%s FROM %s ORDER BY id; SELECT * FROM orders ORDER BY id; SELECT * FROM people ORDER BY id;
		SELECT last_value FROM ticks; SELECT pg_sequence_last_value(pg_get_serial_sequence('%s', 'id'))`, own, extra, v.table(), v.table())
}

// logical takes the new column out of the rows of contents' first result, and says where the columns do not agree: apart, or empty
// where that form may not have it.
func (f Form) logical(events []Event) (out []Event, apart string) {
	if !f.has(OldSide) || !f.has(NewSide) {
		return events, ""
	}
	first := true
	for _, e := range events {
		switch {
		case !first:
		case e.Kind == RowDescription:
			e.Fields = e.Fields[:len(e.Fields)-1]
		case e.Kind == DataRow:
			last := len(e.Values) - 1
			id, o, n := *e.Values[0], e.Values[1], e.Values[last]
			e.Values = e.Values[:last]
			if same(o, n) {
				break
			}
			i, err := strconv.Atoi(id)
			if f == Unfilled && n == nil && err == nil && i <= len(seedUsers) && unfilled(i) {
				break
			}
			apart += fmt.Sprintf("row %s: the old column has %s, the new one %s\n", id, show(o), show(n))
		case e.Kind == CommandComplete:
			first = false
		}
		out = append(out, e)
	}
	return out, apart
}

func same(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func show(v *string) string {
	if v == nil {
		return "NULL"
	}
	return strconv.Quote(*v)
}
