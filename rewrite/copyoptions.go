package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/copydata"
)

// copyOptions are the options of a COPY, in either syntax, as far as they say how its data is written.
type copyOptions struct {
	format                   copydata.Format
	header                   copyHeader
	delimiter, quote, escape byte
	null                     string
	encoding                 string // "" for the client's
	byDefault                bool   // DEFAULT, of servers from 16 on: a string that stands for a column's default
	freeze, skips            bool   // FREEZE; ON_ERROR, of servers from 17 on
	forceAll                 bool   // FORCE_NOT_NULL *: no NULL can be written
	// odd says that the options are not as this code knows them: the server may refuse them, or know more.
	odd bool
}

type copyHeader int

const (
	noHeader copyHeader = iota
	anyHeader
	matchHeader
)

// readCopyOptions reads options. What the server will refuse may be read as anything.
func readCopyOptions(list []*pg.Node) copyOptions {
	o := copyOptions{delimiter: '\t', quote: '"', null: `\N`}
	one := func(v string) byte {
		if len(v) != 1 {
			o.odd = true
			return 0
		}
		return v[0]
	}
	given := map[string]bool{}
	for _, n := range list {
		d := n.GetDefElem()
		v, isString := optionValue(d.GetArg())
		name := d.GetDefname()
		o.odd = o.odd || given[name]
		given[name] = true
		switch name {
		case "format":
			switch v {
			case "text":
			case "csv":
				o.format = copydata.CSV
			case "binary":
				o.format = copydata.Binary
			default:
				o.odd = true
			}
		case "header":
			switch strings.ToLower(v) {
			case "", "true", "on", "1", "t":
				o.header = anyHeader
			case "false", "off", "0", "f":
			case "match":
				o.header = matchHeader
			default:
				o.odd = true
			}
		case "delimiter":
			o.delimiter = one(v)
		case "quote":
			o.quote = one(v)
		case "escape":
			o.escape = one(v)
		case "null":
			o.null = v
			o.odd = o.odd || !isString
		case "encoding":
			o.encoding = v
		case "default":
			o.byDefault = true
		case "freeze":
			o.freeze = v != "false" && v != "off" && v != "0"
		case "on_error":
			o.skips = v != "stop"
		case "force_not_null":
			o.forceAll = d.GetArg().GetAStar() != nil
		case "force_null", "force_quote", "log_verbosity", "reject_limit":
		default:
			o.odd = true
		}
	}
	if o.format == copydata.CSV {
		if !given["delimiter"] {
			o.delimiter = ','
		}
		if !given["null"] {
			o.null = ""
		}
		if !given["escape"] {
			o.escape = o.quote
		}
		// Such data is better left alone: `\.` may be its end.
		o.odd = o.odd || o.delimiter == '\\' || o.quote == '\\'
	}
	return o
}

func optionValue(n *pg.Node) (value string, isString bool) {
	switch x := n.GetNode().(type) {
	case *pg.Node_String_:
		return x.String_.Sval, true
	case *pg.Node_Boolean:
		if x.Boolean.Boolval {
			return "true", false
		}
		return "false", false
	case *pg.Node_Integer:
		if x.Integer.Ival == 0 {
			return "0", false
		}
		return "1", false
	case *pg.Node_Float:
		return x.Float.Fval, true
	}
	return "", false
}

// bytewise says whether data in an encoding can be taken apart by its bytes: no byte of a character of several looks like another one. utf8 says
// that characters are those of UTF-8.
func bytewise(encoding string) (ok, utf8 bool) {
	var b strings.Builder
	for _, c := range strings.ToLower(encoding) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	switch name := b.String(); {
	case name == "utf8" || name == "unicode":
		return true, true
	case name == "sqlascii" || strings.HasPrefix(name, "latin") || strings.HasPrefix(name, "iso8859") || strings.HasPrefix(name, "koi8"),
		strings.HasPrefix(name, "win125"), strings.HasPrefix(name, "windows125"), name == "win866" || name == "windows866" || name == "win874" || name == "windows874":
		return true, false
	}
	return false, false
}

// forcedColumns are the columns that an option FORCE_... names, at tokens.
type forcedColumns struct {
	option string // as the parser calls it
	names  []string
	toks   []int
}

func (f *forcedColumns) any(names map[string]bool) bool {
	for _, n := range f.names {
		if names[n] {
			return true
		}
	}
	return false
}

// forcedColumns finds the columns that options name, in either syntax; the tree does not say where they are.
func (c *copying) forcedColumns() (all []forcedColumns, ok bool) {
	for _, n := range c.stmt.Options {
		d := n.GetDefElem()
		if items := d.GetArg().GetList().GetItems(); strings.HasPrefix(d.GetDefname(), "force_") && len(items) > 0 {
			f := forcedColumns{option: d.Defname}
			for _, x := range items {
				f.names = append(f.names, strOf(x))
			}
			all = append(all, f)
		}
	}
	at := c.listEnd()
	if at < 0 {
		c.lost(c.stmt.Relation.Location, "COPY")
		return nil, false
	}
	found := 0
	for depth := 0; found < len(all) && at+1 < len(c.toks) && (depth > 0 || !c.isPunct(at+1, ';')); at++ {
		switch {
		case c.isPunct(at+1, '('):
			depth++
			continue
		case c.isPunct(at+1, ')'):
			depth--
			continue
		}
		f := &all[found]
		first := c.forcedAt(at+1, f.option)
		if first < 0 || depth > 1 {
			continue
		}
		for i := range f.names {
			if !c.isName(first+2*i) || i > 0 && !c.isPunct(first+2*i-1, ',') {
				c.lost(c.stmt.Relation.Location, "COPY")
				return nil, false
			}
			f.toks = append(f.toks, first+2*i)
		}
		at = f.toks[len(f.toks)-1]
		for depth = 0; c.isPunct(at+1, ')') && depth == 0; at++ { // of the list in brackets
			depth = 1
		}
		found++
	}
	if found < len(all) {
		c.lost(c.stmt.Relation.Location, "COPY")
		return nil, false
	}
	return all, true
}

// forcedAt gives the token of the first column where an option FORCE_... begins at token i; -1 where none does.
func (c *copying) forcedAt(i int, option string) int {
	if c.isWord(i, option) && c.isPunct(i+1, '(') {
		return i + 2
	}
	if !c.isWord(i, "force") {
		return -1
	}
	for _, w := range strings.Split(strings.TrimPrefix(option, "force_"), "_") {
		if i++; !c.isWord(i, w) {
			return -1
		}
	}
	return i + 1
}

// force puts physical names in the place of those that options name. also gives what is named beside a column; the server has the errors about columns that
// are not copied, but knows them by other names.
func (c *copying) force(staged bool, physical func(name string) (string, bool), also func(option, name string) []string) bool {
	for _, f := range c.forced {
		for i, name := range f.names {
			if (c.lens.Names[name] || staged) && c.lens.Column(name) == nil {
				if c.refusal == nil {
					c.blame = c.otherSide(c.lens, name)
				}
				c.refuse(&Refusal{Code: "42703", Message: `column "` + name + `" of relation "` + c.lens.Relation.Name + `" does not exist`})
				return false
			}
			to, ok := physical(name)
			if !ok {
				if c.lens.Names[name] || staged {
					c.refuse(&Refusal{Code: "42P10", Message: strings.ToUpper(f.option) + ` column "` + name + `" not referenced by COPY`})
					return false
				}
				continue
			}
			c.rename(f.toks[i], name, to)
			for _, m := range also(f.option, name) {
				c.add(after, f.toks[i], f.toks[i], sqlText(", ", catalog.QuoteIdent(m)))
			}
		}
	}
	return true
}
