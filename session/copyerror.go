package session

import (
	"regexp"
	"strconv"
	"strings"

	"segue/rewrite"
	"segue/rewrite/copydata"
)

// copyError says how an error or a notice of a COPY's becomes what it would be about the table that the client knows.
type copyError struct {
	entry *entry
	in    *rewrite.CopyIn
	part  piece
	code  string
	data  *copydata.Stream // nil where it goes on as it comes
	// What an error in the INSERT of a staged COPY brought in its hint.
	marked  bool
	hint    string
	context string // the client's
	told    bool   // the context was told
}

// Codes of errors that matter here.
const (
	badFormat = "22P04" // bad_copy_file_format
	notUnique = "23505" // unique_violation
	excluded  = "23P01" // exclusion_violation
	deadlock  = "40P01" // deadlock_detected
)

// copyError reads the fields of an error or a notice that answers a COPY into a migrating table; nil where the entry is none.
func (s *Session) copyError(e *entry, body []byte) *copyError {
	in := e.copyOf()
	if in == nil {
		return nil
	}
	c := &copyError{entry: e, in: in, part: e.stagedPart(), code: string(errorField(body, 'C')), told: true}
	if e.copyIn {
		c.data = s.copying
	}
	parts := strings.SplitN(string(errorField(body, 'H')), rewrite.StageMark, 4)
	if c.part == partAfter && len(parts) == 4 && parts[0] == "" {
		c.marked, c.hint, c.told = true, parts[3], false
		c.context = c.staged(parts[1], parts[2])
	}
	return c
}

// staged gives the context of an error in the INSERT: that of what the table's triggers do, and the place in the data as COPY tells it.
func (c *copyError) staged(place, context string) string {
	context = c.withoutInsert(context)
	if place == "" {
		return context
	}
	if context != "" {
		context += "\n"
	}
	number, text := copydata.Place(place)
	context += "COPY " + c.in.Table + ", line " + number
	// COPY puts rows into indexes some at a time, when it has their numbers only.
	if text != "" && c.code != notUnique && c.code != excluded {
		context += `: "` + text + `"`
	}
	return context
}

// withoutInsert leaves the INSERT out of a context, and what is around it.
func (c *copyError) withoutInsert(context string) string {
	i := strings.LastIndex(context, c.in.Staged.Insert)
	if i < 0 {
		return ""
	}
	i = strings.LastIndexByte(context[:i], '\n')
	return context[:max(i, 0)]
}

// field gives what becomes of a field; changed is false where that is nothing. An empty field is left out.
func (c *copyError) field(code byte, value string) (_ string, changed bool) {
	switch c.part {
	case partBefore:
		return "", strings.IndexByte("WPpq", code) >= 0
	case partAfter, partCount:
		switch {
		case code == 'H' && c.marked:
			return c.hint, true
		case code == 'W' && c.marked:
			return "", true // the context is told behind the other fields
		case code == 'W':
			return c.withoutInsert(value), true
		}
		return "", strings.IndexByte("Ppq", code) >= 0
	case notStaged, partCopy:
	}
	switch code {
	case 'W':
		return c.inClientsWords(value), true
	case 'M':
		if c.code == badFormat {
			return c.message(value), true
		}
	}
	return "", false
}

var number = regexp.MustCompile(`\d+`)

// message gives the message of an error about the data's format.
func (c *copyError) message(m string) string {
	spec := c.in.Spec
	odd, isOdd := c.data.OddCount()
	switch {
	case isOdd:
		which := 0
		return number.ReplaceAllStringFunc(m, func(n string) string {
			switch which++; which {
			case 1:
				return strconv.Itoa(odd)
			case 2:
				return strconv.Itoa(spec.Columns)
			}
			return n
		})
	case spec != nil && spec.Names != nil:
		for _, n := range spec.Names {
			m = strings.Replace(m, `expected "`+n.Server+`"`, `expected "`+n.Client+`"`, 1)
			m = strings.Replace(m, `got "`+n.Server+` "`, `got "`+n.Server+`"`, 1)
		}
	}
	c.entry.plan.ClientNames(func(table, column, name string) {
		if table == c.in.Table {
			m = strings.Replace(m, `column "`+column+`"`, `column "`+name+`"`, 1)
		}
	})
	return m
}

// inClientsWords gives COPY's line of a context ("COPY users, line 3, column name: "x"") with the client's table, column and line. Behind the table come a word and a number
// in every language that is written so.
func (c *copyError) inClientsWords(context string) string {
	shown := c.in.Table
	if c.part == partCopy {
		shown = rewrite.StageTable
	}
	prefix := "COPY " + shown + ", "
	i := strings.Index(context, prefix)
	if i < 0 || i > 0 && context[i-1] != '\n' {
		return context
	}
	rest := context[i+len(prefix):]
	line := number.FindStringIndex(rest)
	if line == nil {
		return context
	}
	before, place, behind := context[:i]+"COPY "+c.in.Table+", ", rest[:line[1]], rest[line[1]:]
	if column, ok := strings.CutPrefix(behind, ", "); ok {
		word, name, _ := strings.Cut(column, " ")
		name, value, _ := strings.Cut(name, ":")
		behind = ", " + word + " " + c.entry.plan.ClientName(c.in.Table, name)
		if value != "" {
			behind += ":" + value
		}
		return before + place + behind
	}
	text, ok := strings.CutPrefix(behind, `: "`)
	if !ok || !strings.HasSuffix(text, `"`) {
		return before + place + behind
	}
	if c.in.Guarded && (c.code == notUnique || c.code == excluded) {
		return before + place
	}
	text = text[:len(text)-1]
	if header, at, ok := c.data.Header(); ok && c.in.Spec.Names != nil && strings.HasSuffix(place, " "+at) {
		text = header
	}
	if c.in.Spec != nil {
		text = c.in.Spec.ClientLine(text, c.code == badFormat)
	}
	return before + place + `: "` + text + `"`
}
