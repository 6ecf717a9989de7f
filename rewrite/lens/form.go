package lens

import (
	"errors"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"segue/rewrite/catalog"
)

// ParseForm reads an SQL expression over some columns, such as "price::bigint", into a form in which those columns are parts. Only
// unqualified names of the given columns may be used, any where columns is nil; sub-selects, aggregates, window functions and parameters may not.
func ParseForm(expr string, columns []string) (Form, error) {
	const before = "SELECT ("
	tree, err := pg.Parse(before + expr + "\n)")
	if err != nil {
		return nil, fmt.Errorf("%q is no SQL expression: %w", expr, err)
	}
	if len(tree.Stmts) != 1 || len(tree.Stmts[0].Stmt.GetSelectStmt().GetTargetList()) != 1 || tree.Stmts[0].Stmt.GetSelectStmt().FromClause != nil {
		return nil, fmt.Errorf("%q is not one SQL expression", expr)
	}
	t := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget()
	if t.Name != "" || t.Val.GetRowExpr() != nil {
		return nil, fmt.Errorf("%q is not one SQL expression", expr)
	}
	scan, err := pg.Scan(before + expr + "\n)")
	if err != nil {
		return nil, fmt.Errorf("%q is no SQL expression: %w", expr, err)
	}
	ends := map[int32]int32{}
	for _, tok := range scan.Tokens {
		ends[tok.Start] = tok.End
	}
	refs := map[int32]string{}
	var bad error
	eachMessage(t.ProtoReflect(), func(m protoreflect.Message) {
		switch x := m.Interface().(type) {
		case *pg.ColumnRef:
			name := x.Fields[0].GetString_().GetSval()
			switch {
			case len(x.Fields) != 1 || name == "":
				bad = fmt.Errorf("%q has a qualified name; name the columns alone", expr)
			case columns != nil && len(columns) == 0:
				bad = fmt.Errorf("%q names %q, and no column may stand there", expr, name)
			case columns != nil && !contains(columns, name):
				bad = fmt.Errorf("%q names %q, which is none of the columns %s", expr, name, strings.Join(columns, ", "))
			default:
				refs[x.Location] = name
			}
		case *pg.SubLink:
			bad = fmt.Errorf("%q has a sub-select", expr)
		case *pg.ParamRef:
			bad = fmt.Errorf("%q has a parameter", expr)
		case *pg.WindowDef:
			bad = fmt.Errorf("%q has a window function", expr)
		}
	})
	if bad != nil {
		return nil, bad
	}
	var f Form
	text := before + expr
	at := int32(len(before))
	for i := at; i < int32(len(text)); i++ {
		name, ok := refs[i]
		if !ok {
			continue
		}
		if i > at {
			f = append(f, Part{Text: text[at:i]})
		}
		f = append(f, Part{Column: name})
		at = ends[i]
		i = at - 1
	}
	if int(at) < len(text) {
		rest := text[at:]
		if strings.Contains(rest, "--") {
			rest += "\n"
		}
		f = append(f, Part{Text: rest})
	}
	return f, nil
}

// ParseType says whether a text is one type's name as SQL, such as "bigint" or "character varying(40)".
func ParseType(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New(`is missing: give the new column's type, such as type = "bigint"`)
	}
	sql := "SELECT (NULL::" + text + "\n)"
	tree, err := pg.Parse(sql)
	if err != nil || len(tree.Stmts) != 1 || len(tree.Stmts[0].Stmt.GetSelectStmt().GetTargetList()) != 1 {
		return fmt.Errorf("%q is no type's name", text)
	}
	cast := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().GetVal().GetTypeCast()
	if !cast.GetArg().GetAConst().GetIsnull() || cast.TypeName.Setof || cast.TypeName.PctType {
		return fmt.Errorf("%q is no type's name", text)
	}
	return nil
}

// Columns gives the columns that a form names, in the order in which it names them first.
func (f Form) Columns() []string {
	var out []string
	for _, p := range f {
		if p.Column != "" && !contains(out, p.Column) {
			out = append(out, p.Column)
		}
	}
	return out
}

// call is a call of a function, given as SQL, with the form's columns.
func (f Form) call(function string) Form {
	out := Form{{Text: function + "("}}
	for i, c := range f.Columns() {
		if i > 0 {
			out = append(out, Part{Text: ", "})
		}
		out = append(out, Part{Column: c})
	}
	return append(out, Part{Text: ")"})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func eachMessage(m protoreflect.Message, f func(protoreflect.Message)) {
	f(m)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), f)
			}
		default:
			eachMessage(v.Message(), f)
		}
		return true
	})
}

// fill puts forms in the place of a form's columns.
func (f Form) fill(columns map[string]Form) Form {
	var out Form
	for _, p := range f {
		if v, ok := columns[p.Column]; ok && p.Column != "" {
			out = append(out, v...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// cast gives the form as a value of a type, in brackets. A plain column is of its type already.
func (f Form) cast(sqlType string) Form {
	if f.Plain() != "" {
		return f
	}
	out := Form{{Text: "(("}}
	out = append(out, f...)
	return append(out, Part{Text: ")::" + sqlType + ")"})
}

// Expand writes the form with each column part replaced by what value gives for it.
func (f Form) Expand(value func(column string) string) string {
	var b strings.Builder
	for _, p := range f {
		if p.Column != "" {
			b.WriteString(value(p.Column))
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// Over writes the form with its columns qualified.
func (f Form) Over(qualifier string) string {
	return f.Expand(func(c string) string { return qualifier + "." + catalog.QuoteIdent(c) })
}
