package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/lens"
)

// shrinkLimit bounds the runs that making one difference smaller takes.
const shrinkLimit = 150

// Smaller looks for a small case of a difference: the fewest and plainest choices that make a script which shows one at the same stand, then the
// smallest schema, and gives it as text with the schema. made are the script's choices. The lab is left in another world.
func (l *WorldLab) Smaller(ctx context.Context, d WorldDifference, made []uint32) (string, error) {
	report := l.Report
	defer func() { l.Report = report }()
	var last string
	fails := func(w *World, s *Script, stand string) (bool, error) {
		if l.World != w || len(l.stands) != 1 {
			if err := l.Enter(ctx, w, stand); err != nil {
				return false, nil // it is no schema at all without what was taken out
			}
		}
		l.Report = &WorldReport{}
		l.only = lens.Version(d.Version)
		defer func() { l.only = "" }()
		if err := l.Check([]*Script{s}); err != nil {
			return false, err
		}
		if len(l.Report.Differences) == 0 {
			return false, nil
		}
		last = l.Report.Differences[0].Text
		return true, nil
	}
	script := func(made []uint32) *Script {
		s := newScript(&choices{made: slices.Clone(made)}, d.World)
		s.Name = d.Script.Name + ", made smaller"
		return s
	}
	made, err := shrink(made, shrinkLimit, func(smaller []uint32) (bool, error) { return fails(d.World, script(smaller), d.Stand) })
	if err != nil {
		return "", err
	}
	c := &smallCase{world: d.World, script: script(made), stand: d.Stand}
	for limit, again := shrinkLimit, true; again && limit > 0; {
		again = false
		for _, smaller := range c.candidates() {
			if limit--; limit == 0 {
				break
			}
			ok, err := fails(smaller.world, smaller.script, smaller.stand)
			if err != nil {
				return "", err
			}
			if ok {
				c, again = smaller, true
				break
			}
		}
	}
	if ok, err := fails(c.world, c.script, c.stand); err != nil || !ok {
		return "", fmt.Errorf("%s does not show its difference again: %w", c.script.Name, err)
	}
	return last + c.world.String(), nil
}

// smallCase is a script in a world, at one stand.
type smallCase struct {
	world  *World
	script *Script
	stand  string
}

// candidates are the cases that are a little smaller, those first that leave out the most.
func (c *smallCase) candidates() []*smallCase {
	var out []*smallCase
	with := func(edit func(*smallCase) bool) {
		w := c.world.clone()
		s := *c.script
		s.Steps = slices.Clone(s.Steps)
		n := &smallCase{world: w, script: &s, stand: c.stand}
		if edit(n) {
			out = append(out, n)
		}
	}
	for i := range c.script.Steps {
		with(func(n *smallCase) bool {
			n.script.Steps = slices.Delete(n.script.Steps, i, i+1)
			return len(n.script.Steps) > 0
		})
	}
	if len(c.world.Changes) == 2 {
		for k := range 2 {
			with(func(n *smallCase) bool {
				stands := strings.SplitN(c.stand, " + ", 2)
				n.stand = stands[1-k]
				n.script.Code = Code{c.script.Code[1-k]}
				n.world.drop(n.world.Changes[k])
				return true
			})
		}
	}
	for t := range c.world.Tables {
		for _, keep := range [][2]int{{0, 0}, {0, 2}, {2, 1}} { // the first half, the second, all but the last
			with(func(n *smallCase) bool {
				rows := n.world.Tables[t].Rows
				switch half := len(rows) / 2; {
				case len(rows) == 0:
					return false
				case keep[1] == 0:
					rows = nil
				case keep[1] == 2:
					rows = rows[:half]
				default:
					rows = rows[:len(rows)-1]
				}
				n.world.Tables[t].Rows = rows
				return true
			})
		}
		for i := range c.world.Tables[t].Columns {
			with(func(n *smallCase) bool { return i > 0 && n.world.Tables[t].dropColumn(i) })
			with(func(n *smallCase) bool {
				col := n.world.Tables[t].Columns[i]
				plain := col.change != nil || col.Default == "" && !col.NotNull && !col.unique && col.generated == ""
				col.Default, col.NotNull, col.unique, col.generated = "", false, false, ""
				return i > 0 && !plain
			})
		}
	}
	return out
}

// clone copies the world but for its changes.
func (w *World) clone() *World {
	out := &World{Name: w.Name, Changes: slices.Clone(w.Changes), way: w.way}
	tables := map[*worldTable]*worldTable{}
	for _, t := range w.Tables {
		n := &worldTable{Name: t.Name, Parts: t.Parts, second: t.second}
		tables[t] = n
		for _, c := range t.Columns {
			col := *c
			if col.ref != nil {
				col.ref = tables[col.ref]
			}
			n.Columns = append(n.Columns, &col)
		}
		for _, r := range t.Rows {
			n.Rows = append(n.Rows, slices.Clone(r))
		}
		out.Tables = append(out.Tables, n)
	}
	return out
}

// drop takes a change out, with its columns.
func (w *World) drop(c *change) {
	w.Changes = slices.DeleteFunc(w.Changes, func(x *change) bool { return x == c })
	for _, t := range w.Tables {
		for i := len(t.Columns) - 1; i >= 0; i-- {
			if t.Columns[i].change == c {
				t.remove(i)
			}
		}
	}
}

// dropColumn takes a column that stays out; false where the i-th is none.
func (t *worldTable) dropColumn(i int) bool {
	if t.Columns[i].change != nil {
		return false
	}
	t.remove(i)
	return true
}

func (t *worldTable) remove(i int) {
	t.Columns = slices.Delete(t.Columns, i, i+1)
	for r := range t.Rows {
		t.Rows[r] = slices.Delete(t.Rows[r], i, i+1)
	}
}

// String is the schema as it was before the migrations, its rows, and the migrations.
func (w *World) String() string {
	var b strings.Builder
	old := make(Code, len(w.Changes)).reference()
	for _, sql := range w.setup(old) {
		if strings.HasPrefix(sql, "CREATE TABLE") || strings.HasPrefix(sql, "INSERT") {
			b.WriteString("  " + sql + ";\n")
		}
	}
	for _, c := range w.Changes {
		d, err := c.Definition().Marshal()
		if err != nil {
			panic(fmt.Sprintf("a generated definition cannot be written: %v", err))
		}
		b.WriteString("  " + string(d) + "\n")
	}
	return b.String()
}
