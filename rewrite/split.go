package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// The two tables of a split hold each other's values, and the guard brings what is written to one to the other. It takes the row of the table that the columns leave
// first, and so must every statement: here, new code's statements on the new table are made to do so. An INSERT needs nothing, since a trigger comes before its row.

// targetHalves gives what there is to know of a table that columns of a split move to; nil for others.
func (a *attempt) targetHalves(rel *catalog.Relation) []lens.Half {
	var halves []lens.Half
	for _, i := range a.state.targets[rel.OID] {
		x := a.applied(i)
		a.touched[x.Name] = true
		h := x.Half(a.state.Catalog.ByOID(a.state.roots[i]), true)
		for _, k := range a.state.tables[a.state.roots[i]] {
			h.Going = h.Going || a.state.migrations[k].Stage.Drops()
		}
		halves = append(halves, h)
	}
	return halves
}

// halvesOf gives of which splits a table is one of the two.
func (a *attempt) halvesOf(rel *catalog.Relation) []lens.Half {
	if l := a.lensOf(rel); l != nil {
		return l.Halves
	}
	return a.targetHalves(rel)
}

// enter refuses a statement that names the new table of a split where its code does not know the table, or is too early.
func (a *attempt) enter(rv *pg.RangeVar, rel *catalog.Relation) {
	halves := a.targetHalves(rel)
	if len(halves) == 0 {
		return
	}
	a.targetLens(rel)
	for _, h := range halves {
		if !a.mayEnter(rv, h) {
			return
		}
	}
}

func (a *attempt) mayEnter(rv *pg.RangeVar, h lens.Half) bool {
	switch {
	case !h.New:
		if a.refusal == nil {
			a.blame = h.Migration
		}
		a.noTable(rv, h.Migration)
	case h.Refuse != "":
		a.refuse(&Refusal{
			Code: "0A000", Message: fmt.Sprintf("segue: the new table %s of migration %q can be used from switch-reads on", catalog.QuoteIdent(rv.Relname), h.Migration),
			Hint: "Now, " + h.Refuse + "; segue status tells where the migration stands.", Position: a.position(int(rv.Location)),
		})
	default:
		return true
	}
	return false
}

// noTable refuses a table that the code's own schema does not have, in PostgreSQL's words.
func (a *attempt) noTable(rv *pg.RangeVar, migration string) {
	name := rv.Relname
	if rv.Schemaname != "" {
		name = rv.Schemaname + "." + name
	}
	r := &Refusal{
		Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", name),
		Hint: fmt.Sprintf("Migration %q is under way: the new schema has the table, and this statement is read as one for the old schema.", migration),
	}
	if !a.utility {
		r.Position = a.position(int(rv.Location))
	}
	a.refuse(r)
}

// comingTable refuses the new table of a split before it stands: for old code the server has the error.
func (a *attempt) comingTable(rv *pg.RangeVar) {
	for _, i := range a.state.coming {
		m := &a.state.migrations[i]
		to := m.Definition.SplitTable.To
		if rv.Relname != to.Name || rv.Schemaname != "" && rv.Schemaname != to.Schema || rv.Schemaname == "" && !slices.Contains(a.set.Path, to.Schema) ||
			rv.Schemaname == "" && slices.Contains(a.set.Temp, to.Name) {
			continue
		}
		a.touched[m.Definition.Name] = true
		x := a.applied(i)
		a.mayEnter(rv, x.Half(a.state.Catalog.ByOID(a.state.roots[i]), true))
		return
	}
}

// targetLens gives a lens for the new table of a split, as far as definitions and explanations are concerned; nil for other tables. Statements that read and write rows see
// the table as it is.
func (a *attempt) targetLens(rel *catalog.Relation) *lens.Lens {
	if l := a.lensOf(rel); l != nil {
		return l
	}
	if l := a.lenses[rel.OID]; l != nil {
		return l
	}
	halves := a.targetHalves(rel)
	if len(halves) == 0 {
		return nil
	}
	l := lens.Compile(rel, nil)
	l.Halves = halves
	for _, i := range a.state.targets[rel.OID] {
		d := a.state.migrations[i].Definition
		l.Migrations = append(l.Migrations, d.Name)
		for _, p := range append(d.SplitTable.KeyPairs(), d.SplitTable.ColumnPairs()...) {
			l.Names[p.To] = true
		}
	}
	a.lenses[rel.OID] = l
	return l
}

// isKey says whether a column is of the key by which a split's rows belong together.
func isKey(l *lens.Lens, name string) bool {
	return slices.ContainsFunc(l.Halves, func(h lens.Half) bool { return slices.Contains(h.Key, name) })
}

// ask is a condition that is to be asked of each row that a statement changes: it is true, or raises.
type ask struct {
	pieces []piece
	// exact says that it must be asked of no other row. Else it costs only time.
	exact bool
	// key is the column of a key of one column, as the statement can name it: its table's alias, and its name.
	key []string
}

// exactKey gives the key of what must be asked of no other row; nil where it has several columns.
func exactKey(asks []ask) []string {
	for _, x := range asks {
		if x.exact {
			return x.key
		}
	}
	return nil
}

// keyOf gives the key for an ask.
func keyOf(h lens.Half, target *item) []string {
	if len(h.Key) != 1 {
		return nil
	}
	return []string{target.alias, h.Key[0]}
}

// call is a function's call with columns of an item.
func call(function string, it *item, columns []string) string {
	text := function + "("
	for i, c := range columns {
		if i > 0 {
			text += ", "
		}
		text += catalog.QuoteIdent(it.alias) + "." + catalog.QuoteIdent(c)
	}
	return text + ")"
}

// halves notes what a statement does about a split. Whether the new table has a row is asked in the middle of the statement, when what another part of it takes away is still there:
// in its own schema the foreign key is looked at in the end.
func (a *attempt) halves(h lens.Half, asks bool, off int, l *lens.Lens) {
	if a.halved == nil {
		a.halved = map[halfUse]bool{}
	}
	a.halved[halfUse{h.Migration, asks}] = true
	if a.halved[halfUse{h.Migration, !asks}] {
		a.uncovered(off, l, "a statement that takes rows of both tables of the split away", "Write to the new table in a statement of its own, before the other.")
	}
}

// asksOnDelete gives what is to be asked of each row that a DELETE takes.
func (a *attempt) asksOnDelete(target *item, off int) (asks []ask) {
	for _, h := range target.halves {
		switch {
		case h.Target && h.Lock != "":
			a.halves(h, false, off, target.lens)
			asks = append(asks, ask{pieces: sqlText(call(h.Lock, target, h.Key))})
		case h.OnDelete.Refuse != "":
			a.uncovered(off, target.lens, "a DELETE whose rows the new table may refer to", "Now, "+h.OnDelete.Refuse+".")
		case h.OnDelete.Function != "":
			a.halves(h, true, off, target.lens)
			asks = append(asks, ask{pieces: sqlText(call(h.OnDelete.Function, target, h.Key)), exact: true, key: keyOf(h, target)})
		}
	}
	return asks
}

// asksOnUpdate gives what is to be asked of each row that an UPDATE with that list of SET changes.
func (a *attempt) asksOnUpdate(target *item, list []*pg.Node, off int) (asks []ask) {
	for _, h := range target.halves {
		keys, ok := a.newKeys(list, h.Key)
		switch {
		case h.Target && h.Lock != "":
			asks = append(asks, ask{pieces: sqlText(call(h.Lock, target, h.Key))})
			if len(keys) > 0 {
				a.halves(h, false, off, target.lens)
			}
			if len(keys) > 0 && ok {
				asks = append(asks, ask{pieces: a.lockNew(h, target, keys)})
			}
		case len(keys) == 0:
		case h.OnUpdate.Refuse != "":
			a.uncovered(off, target.lens, "an UPDATE of the key, to which rows of the new table may refer", "Now, "+h.OnUpdate.Refuse+".")
		case h.OnUpdate.Function != "" && !ok:
			a.uncovered(off, target.lens, "this way of assigning a column of the key", "Assign it alone, from an expression that is not volatile and has no sub-select.")
		case h.OnUpdate.Function != "":
			a.halves(h, true, off, target.lens)
			p := sqlText("CASE WHEN ")
			for i, name := range h.Key {
				toks, assigned := keys[name]
				if !assigned {
					continue
				}
				if len(p) > 1 {
					p = append(p, lit(" OR "))
				}
				p = append(p, lit("("), copyOf(toks[0], toks[1]), lit(")::"+keyType(target, h.Key[i])+" IS DISTINCT FROM "+catalog.QuoteIdent(target.alias)+"."+catalog.QuoteIdent(name)))
			}
			p = append(p, lit(" THEN "+call(h.OnUpdate.Function, target, h.Key)+" ELSE true END"))
			asks = append(asks, ask{pieces: p, exact: true, key: keyOf(h, target)})
		}
	}
	return asks
}

// lockNew locks the row of the key that an UPDATE gives, too.
func (a *attempt) lockNew(h lens.Half, target *item, keys map[string][2]int) []piece {
	p := sqlText(h.Lock + "(")
	for i, name := range h.Key {
		if i > 0 {
			p = append(p, lit(", "))
		}
		if toks, assigned := keys[name]; assigned {
			p = append(p, lit("("), copyOf(toks[0], toks[1]), lit(")::"+keyType(target, name)))
			continue
		}
		p = append(p, lit(catalog.QuoteIdent(target.alias)+"."+catalog.QuoteIdent(name)))
	}
	return append(p, lit(")"))
}

// keyType gives the type of a column of the key, as SQL.
func keyType(target *item, name string) string {
	if target.lens != nil {
		return target.lens.Column(name).Type.SQL
	}
	return target.column(name).typ.SQL
}

// newKeys finds what SET gives the columns of a key, as tokens; ok is false where some value of them cannot be written twice.
func (a *attempt) newKeys(list []*pg.Node, key []string) (keys map[string][2]int, ok bool) {
	ok = true
	for i, n := range list {
		name := n.GetResTarget().GetName()
		if !slices.Contains(key, name) {
			continue
		}
		if keys == nil {
			keys = map[string][2]int{}
		}
		as, found := a.assignment(list, i, nil)
		keys[name] = as.toks
		ok = ok && found && !as.opaque && !as.isDefault() && a.twice(as.node)
	}
	return keys, ok
}

// truncate plans TRUNCATE: old code's takes the new table along, which may refer to the one that is emptied.
func (a *attempt) truncate(s *pg.TruncateStmt) {
	a.utility = true
	named := map[uint32]bool{}
	for _, n := range s.Relations {
		if _, rel, _ := a.relation(n.GetRangeVar(), nil); rel != nil {
			named[rel.OID] = true
		}
	}
	for _, n := range s.Relations {
		rv := n.GetRangeVar()
		_, rel, _ := a.relation(rv, nil)
		if rel == nil || a.refusal != nil {
			continue
		}
		for _, h := range a.halvesOf(rel) {
			if h.Target || !h.Both || named[h.Other.OID] {
				continue
			}
			if h.New {
				a.uncovered(int(rv.Location), a.lensOf(rel), "TRUNCATE of the table without the new one, whose rows would belong to none,", "TRUNCATE both in one statement.")
				continue
			}
			named[h.Other.OID] = true
			a.truncateBoth(rv, h.Other)
		}
	}
	a.utility = false
}

func (a *attempt) truncateBoth(rv *pg.RangeVar, other *catalog.Relation) {
	from := a.tokenAt(rv.Location)
	to := from
	for from >= 0 && a.isPunct(to+1, '.') {
		to += 2
	}
	if from < 0 {
		a.lost(rv.Location, "TRUNCATE")
		return
	}
	if a.tokText(to+1) == "*" || a.isPunct(to+1, ')') && a.isPunct(from-1, '(') {
		to++
	}
	a.add(after, to, to, sqlText(", ", catalog.QuoteQualified(other.Schema, other.Name)))
}
