package config

import (
	"fmt"
	"regexp"
	"slices"

	"segue/rewrite/lens"
)

// maxForm bounds an expression, in bytes: the parser's stack is used up by nesting, and each level takes a byte at least.
const maxForm = 8 << 10

func validateRename(def *lens.Definition) *Error {
	r := def.RenameColumn
	if err := identifier("rename_column.from", r.From); err != nil {
		return err
	}
	if err := identifier("rename_column.to", r.To); err != nil {
		return err
	}
	if r.From == r.To {
		return &Error{Key: "rename_column.to", Problem: fmt.Sprintf("is the same as from, %q: give the column's new name", r.To)}
	}
	if slices.Contains(def.Allow, HazardLossy) {
		return &Error{Key: "allow", Problem: "a rename is not lossy; remove it"}
	}
	if def.LookupIndexes {
		return &Error{Key: "lookup_indexes", Problem: "a rename's new code is served by the old column's indexes; remove it"}
	}
	return nil
}

func validateChangeType(c *lens.ChangeType) *Error {
	if err := identifier("change_type.column", c.Column); err != nil {
		return err
	}
	if err := identifier("change_type.to", c.To); err != nil {
		return err
	}
	switch {
	case c.Column == c.To:
		return &Error{Key: "change_type.to", Problem: fmt.Sprintf(`is the same as column, %q: both stand side by side for a while, so give another name; app_name = %q lets new code say %[1]q`, c.To, c.Column)}
	case c.AppName != "" && c.AppName != c.Column:
		return &Error{Key: "change_type.app_name", Problem: fmt.Sprintf("can only be the old column's name, %q: what new code calls the column otherwise is `to`", c.Column)}
	}
	if err := columnType("change_type.type", c.Type); err != nil {
		return err
	}
	if err := form("change_type.up", c.Up, "the new column's value from the old one", c.Column+"::"+c.Type); err != nil {
		return err
	}
	if c.Down != "" {
		if err := form("change_type.down", c.Down, "the old column's value from the new one", c.To+"::text"); err != nil {
			return err
		}
	}
	if err := optional("change_type", c.Check, c.Default); err != nil {
		return err
	}
	return onError("change_type.on_error", c.OnError)
}

func validateColumns(c *lens.Columns) *Error {
	switch {
	case len(c.Drop) == 0 && len(c.Add) == 0:
		return &Error{Key: "columns", Problem: "has neither drop nor add: name the columns that go, and in [[columns.add]] those that come"}
	case len(c.Add) == 0 && c.OnError != "":
		return &Error{Key: "columns.on_error", Problem: "is about `up`, and no column comes; remove it"}
	}
	var names []string
	add := func(key, name string) *Error {
		if err := identifier(key, name); err != nil {
			return err
		}
		if slices.Contains(names, name) {
			return &Error{Key: key, Problem: fmt.Sprintf("%q is named twice: each column goes or comes once, and the old ones and the new ones stand side by side for a while", name)}
		}
		names = append(names, name)
		return nil
	}
	for _, name := range c.Drop {
		if err := add("columns.drop", name); err != nil {
			return err
		}
	}
	for i, a := range c.Add {
		key := fmt.Sprintf("columns.add[%d]", i)
		if err := add(key+".name", a.Name); err != nil {
			return err
		}
		what, example := "the column's value from columns that stay", "lower(email)"
		if len(c.Drop) > 0 {
			what, example = "the column's value from the old ones", c.Drop[0]
		}
		if err := form(key+".up", a.Up, what, example); err != nil {
			return err
		}
		if err := optional(key, a.Check, a.Default); err != nil {
			return err
		}
		if a.AppName != "" && !slices.Contains(c.Drop, a.AppName) {
			return &Error{Key: key + ".app_name", Problem: fmt.Sprintf("%q is none of the columns that drop names: what new code calls the column otherwise is `name`", a.AppName)}
		}
		if a.AppName != "" && slices.ContainsFunc(c.Add[:i], func(b lens.AddColumn) bool { return b.AppName == a.AppName }) {
			return &Error{Key: key + ".app_name", Problem: fmt.Sprintf("%q is another column's already", a.AppName)}
		}
		if err := columnType(key+".type", a.Type); err != nil {
			return err
		}
	}
	down := make([]string, 0, len(c.Down))
	for name := range c.Down {
		down = append(down, name)
	}
	slices.Sort(down)
	for _, name := range down {
		key := "columns.down." + name
		if !slices.Contains(c.Drop, name) {
			return &Error{Key: key, Problem: fmt.Sprintf("%q is none of the columns that drop names", name)}
		}
		what, example := "the old column's value from columns that stay", "'none'"
		if len(c.Add) > 0 {
			what, example = "the old column's value from the new ones", c.Add[0].Name
		}
		if err := form(key, c.Down[name], what, example); err != nil {
			return err
		}
	}
	return onError("columns.on_error", c.OnError)
}

// form checks an expression but for its grammar, which Definition.Group reads.
func form(key, text, what, example string) *Error {
	switch {
	case oneLine(text) == "":
		return &Error{Key: key, Problem: fmt.Sprintf("is missing or empty: it takes %s as an SQL expression, such as %q", what, example)}
	case len(text) > maxForm:
		return &Error{Key: key, Problem: fmt.Sprintf("has %d bytes, and an expression has at most %d: put it into an IMMUTABLE function", len(text), maxForm)}
	}
	return nil
}

// optional checks expressions that may be left out.
func optional(key, check, def string) *Error {
	if check != "" {
		if err := form(key+".check", check, "a condition on the new columns", "amount > 0"); err != nil {
			return err
		}
	}
	if def != "" {
		return form(key+".default", def, "a value", "''")
	}
	return nil
}

var bitType = regexp.MustCompile(`(?i)\b(bit|varbit)\b`)

// columnType refuses what an explicit cast cuts off where an assignment raises an error.
func columnType(key, text string) *Error {
	if err := lens.ParseType(text); err != nil {
		return &Error{Key: key, Problem: oneLine(err.Error())}
	}
	if bitType.MatchString(text) {
		return &Error{Key: key, Problem: fmt.Sprintf("%q is a type of bit strings, which casts cut off: this build does not migrate to it", oneLine(text))}
	}
	return nil
}

func onError(key, word string) *Error {
	switch word {
	case "", "fail", "null":
		return nil
	}
	return &Error{Key: key, Problem: fmt.Sprintf(`%q is neither "fail" nor "null"`, word)}
}
