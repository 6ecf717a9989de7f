package main

import (
	"fmt"
	"strings"

	"segue/proxy"
	"segue/rewrite"
)

// explanationText gives the statement, and in comments what is to be known of it, so that the output is SQL, too.
func explanationText(sql string, e *proxy.Explanation) string {
	var b strings.Builder
	comment := func(format string, args ...any) {
		for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
			b.WriteString(strings.TrimRight("-- "+line, " ") + "\n")
		}
	}
	switch r := e.Refusal; {
	case r != nil:
		comment("refused: %s: %s", r.Code, r.Message)
		for _, line := range caret(sql, r.Position) {
			comment("%s", line)
		}
		if r.Detail != "" {
			comment("detail: %s", r.Detail)
		}
		if r.Hint != "" {
			comment("hint: %s", r.Hint)
		}
	case e.Kind == "rewrite":
		comment("rewritten for %s", strings.Join(e.Migrations, ", "))
	case len(e.Migrations) > 0:
		comment("passed as it is, though it uses %s", strings.Join(e.Migrations, ", "))
	default:
		comment("passed as it is: it uses no migrating table")
	}
	if e.Refusal == nil {
		b.WriteString(e.SQL + "\n")
	}
	for i := range e.Tables {
		comment("")
		describeTable(comment, &e.Tables[i])
	}
	for i, n := range e.Indexes {
		if i == 0 {
			comment("")
		}
		if n.Index == "" {
			comment("index: column %s at character %d is %s there: no index serves that until all rows are proved to agree", n.Column, n.Position, n.Reads)
		} else {
			comment("index: column %s at character %d is %s there, which only an index on that serves:\n  %s", n.Column, n.Position, n.Reads, n.Index)
		}
	}
	return b.String()
}

// describeTable says how the code sees a table.
func describeTable(comment func(format string, args ...any), t *rewrite.TableView) {
	for _, m := range t.Migrations {
		comment("%s for %s code, %s at %s:", t.Table, m.Side, m.Name, m.Stage)
	}
	var others []string
	wide, reads := 0, 0
	for _, c := range t.Columns {
		if c.Migration == "" {
			others = append(others, c.Name)
			continue
		}
		wide, reads = max(wide, len(c.Name)), max(reads, len(c.Reads))
	}
	for _, c := range t.Columns {
		if c.Migration == "" {
			continue
		}
		read := "read as " + c.Reads
		if c.Unreadable != "" {
			read = "not readable: " + c.Unreadable
		}
		written := "written as " + strings.Join(c.Writes, ", ")
		if c.Unwritable != "" {
			written = "not writable: " + c.Unwritable
		}
		comment("  %-*s  %-*s  %s", wide, c.Name, reads+len("read as "), read, written)
	}
	if len(others) > 0 {
		comment("  as they are: %s", strings.Join(others, ", "))
	}
	if len(t.Fills) > 0 {
		comment("  INSERT gives besides: %s", strings.Join(t.Fills, ", "))
	}
	for _, f := range t.Locks {
		comment("  UPDATE, DELETE and MERGE ask of each row first: %s", f)
	}
	for _, f := range t.Alone {
		comment("  DELETE, or UPDATE of the key, asks of each row first: %s", f)
	}
}
