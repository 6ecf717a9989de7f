package rewrite

import (
	"slices"
	"strings"

	"segue/rewrite/lens"
)

// rowShape says how the rows of a migrating table, as the server prints them in errors, become those of the code's own schema.
type rowShape struct {
	physical []string // the table's columns
	names    []string // the code's
	from     []int    // for each of the code's, which physical one has its value
}

// shapeOfRows gives the shape for a lens; nil where the code sees the table as it is, or where a value of the code's is in no column of the table.
func shapeOfRows(l *lens.Lens) *rowShape {
	s := &rowShape{}
	at := map[string]int{}
	for i, c := range l.Relation.Columns {
		s.physical = append(s.physical, c.Name)
		at[c.Name] = i
	}
	same := len(l.Columns) == len(s.physical)
	for i := range l.Columns {
		c := &l.Columns[i]
		from, there := at[c.Physical]
		if !there && c.Tie != nil && c.Tie.Same {
			from, there = at[c.Hides]
		}
		if !there {
			return nil
		}
		same = same && from == i && c.Name == s.physical[i]
		s.names, s.from = append(s.names, c.Name), append(s.from, from)
	}
	if same {
		return nil
	}
	return s
}

// Foreign says whether errors and notices of the statement may be about a text or columns that are not the client's.
func (p *Plan) Foreign() bool { return p.Kind == Rewrite || len(p.rows) > 0 }

// ClientRow gives the detail of an error about a row (23502, 23514) with the row that the client's code knows: "Failing row contains (1, x, null)." or, where the
// role may not read all columns, "Failing row contains (id, name) = (1, x).". The server does not quote the values, so a row that could be taken apart in more than
// one way is left as it is.
func (p *Plan) ClientRow(table, detail string) string {
	s := p.rows[table]
	from, to := strings.IndexByte(detail, '(')+1, strings.LastIndexByte(detail, ')')
	if s == nil || from == 0 || to < from {
		return detail
	}
	names, values := s.physical, detail[from:to]
	list, rest, some := strings.Cut(values, ") = (")
	listed := strings.Split(list, ", ")
	some = some && !slices.ContainsFunc(listed, func(n string) bool { return !slices.Contains(s.physical, n) })
	if some {
		names, values = listed, rest
	}
	cells := strings.Split(values, ", ")
	if len(cells) != len(names) {
		return detail
	}
	at := map[string]int{}
	for i, n := range names {
		at[n] = i
	}
	var known, shown []string
	for i, physical := range s.from {
		cell, there := at[s.physical[physical]]
		if !there {
			if some {
				continue
			}
			return detail
		}
		known, shown = append(known, s.names[i]), append(shown, cells[cell])
	}
	row := strings.Join(shown, ", ")
	if some {
		row = strings.Join(known, ", ") + ") = (" + row
	}
	return detail[:from] + row + detail[to:]
}
