package rewrite

import (
	"regexp"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// constant is a default that is a literal, cast or not, as PostgreSQL and lenses write it: it is what it is whenever and however often it is computed.
var constant = regexp.MustCompile(`^\(*(-?[0-9]+(\.[0-9]+)?|'([^'\\]|'')*'|true|false|NULL)(\)|::[a-z ]+(\([0-9, ]+\))?[a-z ]*(\[\])?)*$`)

// leavesDefaults says whether an INSERT that leaves all of a tie's columns out writes their defaults on both sides, which spares each row the guard's function: where they are constants. Any other
// default is computed by the server, once, and the guard fills the other side.
func leavesDefaults(l *lens.Lens, t *lens.Tie) bool {
	if !t.Both() || t.Refuse != "" || l.Relation.ByColumn {
		return false
	}
	any := false
	for _, name := range t.Columns {
		switch def := l.Column(name).Default; {
		case def == "":
		case !constant.MatchString(def):
			return false
		default:
			any = true
		}
	}
	return any
}

// defaultsToWrite says whether there is such a tie, but for those that are written.
func defaultsToWrite(l *lens.Lens, written map[*lens.Tie][]int) bool {
	for i := range l.Columns {
		if t := l.Columns[i].Tie; t != nil && written[t] == nil && leavesDefaults(l, t) {
			return true
		}
	}
	return false
}

// writeDefaults puts the defaults of ties that the INSERT leaves out behind its columns. It gives the columns' names.
func (a *attempt) writeDefaults(l *lens.Lens, w *rowsToWrite, written map[*lens.Tie][]int) (extra []string) {
	if w.fixed || !defaultsToWrite(l, written) {
		return nil
	}
	done := map[*lens.Tie]bool{}
	for i := range l.Columns {
		t := l.Columns[i].Tie
		if t == nil || done[t] || written[t] != nil || !leavesDefaults(l, t) {
			continue
		}
		done[t] = true
		for _, name := range t.Columns {
			c := l.Column(name)
			extra = append(extra, catalog.QuoteIdent(c.Physical))
			for r := range w.rows {
				a.put(w, &w.rows[r], sqlText(defaultSQL(c)))
			}
		}
		for _, o := range t.Others {
			extra = append(extra, catalog.QuoteIdent(o.Target))
			for r := range w.rows {
				a.put(w, &w.rows[r], a.other(tied{tie: t}, o, defaults(l)))
			}
		}
	}
	return extra
}
