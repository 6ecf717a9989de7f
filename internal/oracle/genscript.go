package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// newScript makes a script of choices.
func newScript(ch *choices, w *World) *Script {
	g := newGen(ch, w)
	switch g.of(24) {
	case 17, 18:
		g.transaction()
	case 19:
		g.cursor()
	case 20, 21:
		g.prepared()
	case 22:
		g.several()
	case 23:
		g.begin()
		g.params = false
		g.end(g.one(g.copyIn, g.copyOut))
		st := &g.script.Steps[0]
		st.Protocol = Simple
		g.script.Statements++
	default:
		g.statement()
	}
	for i := range g.script.Steps {
		g.script.Steps[i].settle(g)
	}
	return g.script
}

// statement adds one statement.
func (g *gen) statement() {
	g.begin()
	var text string
	switch g.of(20) {
	case 8, 9, 10, 11:
		text = g.insert()
	case 12, 13, 14, 15:
		text = g.update()
	case 16:
		text = g.del()
	case 17:
		text = g.merge()
	case 18:
		text = g.dataModifying()
	case 19:
		if len(g.tables) > 2 {
			text = g.lockingHalves()
			break
		}
		text = g.query()
	default:
		text = g.query()
		text += g.pick("", "", "", ";")
	}
	g.end(text)
	g.script.Statements++
}

// settle chooses the protocol of a step that has parameters: in binary only where Parse says all types.
func (st *scriptStep) settle(g *gen) {
	if st.Protocol == Extended && len(st.Types) == len(st.Params) && len(st.Params) > 0 && !slices.Contains(st.Types, 0) && g.often(2) {
		st.Protocol = Binary
	}
}

// transaction adds statements with savepoints between them.
func (g *gen) transaction() {
	g.statement()
	g.plain("SAVEPOINT a")
	g.statement()
	g.plain(g.pick("ROLLBACK TO a", "RELEASE a", "ROLLBACK TO SAVEPOINT a"))
	g.statement()
}

// cursor adds a cursor and what is fetched from it.
func (g *gen) cursor() {
	g.begin()
	g.params = false
	q := g.query()
	for !g.step.Ordered {
		q += ordinals(1)
		break
	}
	g.end("DECLARE k " + g.pick("", "SCROLL ", "NO SCROLL ", "INSENSITIVE ") + "CURSOR FOR " + q)
	g.script.Steps[0].Protocol = Simple
	g.script.Statements++
	ordered := g.step.Ordered
	for range 1 + g.of(2) {
		g.plain(g.pick("FETCH ALL FROM k", "FETCH 3 FROM k", "FETCH NEXT FROM k"))
		last := &g.script.Steps[len(g.script.Steps)-1]
		last.AnyFrom, last.Ordered = true, true
		if !ordered {
			last.Text, last.Ordered = "FETCH ALL FROM k", false
		}
	}
	g.plain("CLOSE k")
}

// prepared adds a statement of SQL's PREPARE and its EXECUTEs.
func (g *gen) prepared() {
	g.begin()
	g.params = true
	text := g.one(g.query, g.query, g.update, g.insert, g.del)
	values, types, ordered := g.step.Params, g.step.Types, g.step.Ordered
	g.step.Params, g.step.Types, g.step.Ordered = nil, nil, true
	list := ""
	if slices.ContainsFunc(types, func(t uint32) bool { return t != 0 }) {
		var of []string
		for i := range values {
			of = append(of, "unknown")
			if i < len(types) && types[i] != 0 {
				of[i] = typeNames[types[i]]
			}
		}
		list = " (" + strings.Join(of, ", ") + ")"
	}
	g.end("PREPARE p" + list + " AS " + text)
	g.script.Steps[0].Protocol = Simple
	g.script.Statements++
	var args []string
	for _, v := range values {
		if v == nil {
			args = append(args, sqlNull)
		} else {
			args = append(args, quoteText(*v))
		}
	}
	execute := "EXECUTE p"
	if len(args) > 0 {
		execute += "(" + strings.Join(args, ", ") + ")"
	}
	for range 1 + g.of(2) {
		g.plain(execute)
		last := &g.script.Steps[len(g.script.Steps)-1]
		last.AnyFrom, last.Ordered = true, ordered
	}
}

var typeNames = func() map[uint32]string {
	out := map[uint32]string{}
	for _, t := range allTypes {
		out[t.oid], _, _ = strings.Cut(t.SQL, "(")
	}
	return out
}()

// several adds one message of several statements.
func (g *gen) several() {
	var all []string
	ordered, anyFrom := true, false
	for range 2 + g.of(2) {
		g.begin()
		g.params = false
		all = append(all, strings.TrimSuffix(g.one(g.query, g.update, g.insert), ";"))
		ordered = ordered && g.step.Ordered
		anyFrom = anyFrom || g.step.AnyFrom
		g.script.Statements++
	}
	g.begin()
	g.params = false
	g.step.Ordered, g.step.AnyFrom = ordered, anyFrom
	g.end(strings.Join(all, g.pick("; ", ";\n", " ; ")))
	g.script.Steps[0].Protocol = Simple
}

// namedScript gives the i-th script of a world of a seed, and the choices that it is made of.
func namedScript(seed, world, i uint64, w *World) (*Script, []uint32) {
	ch := newChoices(seed, world<<20|i+1)
	s := newScript(ch, w)
	s.Name = fmt.Sprintf("statement %d", i)
	s.Again = fmt.Sprintf("-seed %d -world %d -statement %d", seed, world, i)
	return s, ch.made
}
