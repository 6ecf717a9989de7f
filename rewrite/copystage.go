package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/copydata"
)

// Where the rows of a COPY cannot go into the table as they are, they go into a temporary one that has the columns as the code knows them, and from there into the
// table by an INSERT, all in one message and so in one transaction:
//
//	DO (look whether COPY would be allowed; CREATE TEMP TABLE segue_copy); COPY segue_copy FROM STDIN ...;
//	DO (INSERT INTO t SELECT ... FROM segue_copy; DROP TABLE segue_copy); SELECT (how many rows)
//
// The session shows the client one COPY. Statement triggers fire once, as for COPY. An error in the INSERT is caught where it is known which row it was about, since a
// sequence counts the rows that are read; that goes to the session in the error's hint.
const (
	// StageTable is where the rows go first.
	StageTable = "segue_copy"

	stageTable = "pg_temp." + StageTable
	stageRows  = stageTable + "_rows"
	// placeColumn is the column of the staging table that says which line a row was.
	placeColumn = "segue_line"
	// copiedSetting has the number of rows that went into the table.
	copiedSetting = "segue.copied"
)

// StageMark begins the hint of an error in the INSERT. Behind it come, each with StageMark behind it, the row's place in the data as copydata.Place reads it ("" where the
// error is about no row), and the error's own context; then its own hint.
const StageMark = "\x1fsegue\x1f"

// stage plans a COPY FROM by way of a temporary table. spec says how the data is written; named, that it can be edited, so that each row says which line it was.
func (c *copying) stage(named bool, spec *copydata.Spec) {
	extra, ok := c.namedByWhere()
	switch {
	case c.options.freeze:
		c.uncovered(c.off(), c.lens, "COPY with FREEZE into a column whose values must be converted", "Leave the option out.")
		return
	case !ok:
		c.uncovered(c.off(), c.lens, "this WHERE clause of a COPY", "Filter the rows before, or after.")
		return
	}
	end := c.listEnd()
	start := c.from
	for start > 0 && !c.isPunct(start-1, ';') {
		start--
	}
	last := end
	for last+1 < len(c.toks) && !c.isPunct(last+1, ';') {
		last++
	}
	if end < 0 || !c.isWord(start, "copy") {
		c.lost(c.stmt.Relation.Location, "COPY")
		return
	}
	copied := len(c.cols)
	cols := append(slices.Clone(c.cols), extra...)
	w := &rowsToWrite{cols: cols, off: c.off(), fixed: true, wrap: &wrapping{from: -1, fits: true, cols: make([]string, len(cols)), gone: make([]bool, len(cols))}}
	var create, list, names []string
	overriding := ""
	for i, col := range cols {
		w.types = append(w.types, col.Type)
		p := c.lens.Relation.Column(col.Physical)
		identity := p != nil && p.Identity
		if identity {
			overriding = " OVERRIDING SYSTEM VALUE" // as COPY does
			if c.options.byDefault {
				c.uncovered(c.off(), c.lens, "COPY with DEFAULT into an identity column", "Leave the option out.")
				return
			}
		}
		def := catalog.QuoteIdent(col.Name) + " " + col.Type.SQL
		if (i >= copied || c.options.byDefault) && col.Default != "" {
			def += " DEFAULT " + col.Default
		}
		create = append(create, def)
		list = append(list, catalog.QuoteIdent(col.Name))
		if i < copied {
			names = append(names, col.Name)
		}
	}
	written, more, ok := c.write(c.lens, w)
	if !ok {
		return
	}
	named = named && c.options.format != copydata.Binary
	in := CopyIn{Statement: c.attempt.stmt, Table: c.lens.Relation.Name, Staged: &Staged{File: c.stmt.Filename != "" || c.stmt.IsProgram}}
	if named {
		names = append(names, placeColumn)
		spec.Added, spec.Names = []copydata.Added{{Kind: copydata.Line}}, nil
		in.Spec = spec
	}
	create = append(create, placeColumn+" text")
	target := catalog.QuoteQualified(c.lens.Relation.Schema, c.lens.Relation.Name)
	insert := "INSERT INTO " + target + " (" + joinNames(written, more) + ")" + overriding + " SELECT " + w.wrap.list(len(cols)) + " FROM (" + readStage(list) +
		") AS segue_source (" + sourceNames(len(cols)) + ")"
	in.Staged.Before = stageBefore(target, create, insert)
	in.Staged.After, in.Staged.Insert = c.stageAfter(insert), insert
	in.Staged.Count = "SELECT pg_catalog.current_setting('" + copiedSetting + "')"

	c.add(before, start, start, sqlText(in.Staged.Before, "; "))
	c.move(c.from, end, sqlText(stageTable, " (", strings.Join(quoted(names), ", "), ")"))
	c.qualifiers()
	if !c.force(true, func(name string) (string, bool) { return name, c.column(name) >= 0 }, func(_, _ string) []string { return nil }) {
		return
	}
	c.add(after, last, last, sqlText("; ", in.Staged.After, "; ", in.Staged.Count))
	c.copies = append(c.copies, in)
}

// qualifiers puts the staging table's name in the place of the table's where the WHERE clause has it.
func (c *copying) qualifiers() {
	if c.stmt.WhereClause == nil {
		return
	}
	c.eachReference(c.stmt.WhereClause, func(r *pg.ColumnRef) {
		if len(r.Fields) != 2 {
			return
		}
		if tok, _, ok := c.refTokens(r); ok && strOf(r.Fields[0]) == c.stmt.Relation.Relname {
			c.add(replace, tok, tok, sqlText(StageTable))
		}
	})
}

// readStage reads the rows and counts them as it goes. Behind the last it counts once more: what goes wrong then is about no row.
func readStage(list []string) string {
	nothing := make([]string, len(list))
	for i := range nothing {
		nothing[i] = "NULL"
	}
	next := "pg_catalog.nextval('" + stageRows + "'::pg_catalog.regclass) OPERATOR(pg_catalog.%s) 0::pg_catalog.int8"
	return "SELECT " + strings.Join(list, ", ") + " FROM " + stageTable + " WHERE " + fmt.Sprintf(next, ">") +
		" UNION ALL SELECT " + strings.Join(nothing, ", ") + " WHERE " + fmt.Sprintf(next, "<")
}

// stageBefore makes the temporary table, where COPY into the table would begin.
func stageBefore(target string, create []string, insert string) string {
	body := `BEGIN
IF pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' THEN
  RAISE EXCEPTION USING ERRCODE = '25006', MESSAGE = 'cannot execute COPY FROM in a read-only transaction';
END IF;
IF pg_catalog.row_security_active(` + sqlString(target) + `::pg_catalog.text) THEN
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'COPY FROM not supported with row-level security', HINT = 'Use INSERT statements instead.';
END IF;
CREATE TEMP SEQUENCE ` + StageTable + `_rows;
CREATE TEMP TABLE ` + StageTable + ` (` + strings.Join(create, ", ") + `);
EXECUTE ` + sqlString("EXPLAIN "+insert) + `;
END`
	return "DO " + dollars(body)
}

// stageAfter puts the rows into the table.
func (c *copying) stageAfter(insert string) string {
	place := "l." + placeColumn
	switch {
	case c.options.format != copydata.Binary && (c.stmt.WhereClause != nil || c.options.skips): // rows may be left out
		place = "COALESCE(" + place + ", '')"
	case c.options.header != noHeader:
		place = "COALESCE(" + place + ", (segue_row + 1)::pg_catalog.text)"
	default:
		place = "COALESCE(" + place + ", segue_row::pg_catalog.text)"
	}
	mark := "pg_catalog.chr(31) || 'segue' || pg_catalog.chr(31)"
	body := `
#variable_conflict use_column
DECLARE
  segue_row bigint; segue_place text;
  segue_code text; segue_message text; segue_detail text; segue_hint text; segue_context text;
  segue_schema text; segue_table text; segue_column text; segue_constraint text; segue_type text;
BEGIN
  ` + insert + `;
  GET DIAGNOSTICS segue_row = ROW_COUNT;
  PERFORM pg_catalog.set_config('` + copiedSetting + `', segue_row::pg_catalog.text, true);
  DROP TABLE ` + stageTable + `;
  DROP SEQUENCE ` + stageRows + `;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS segue_code = RETURNED_SQLSTATE, segue_message = MESSAGE_TEXT, segue_detail = PG_EXCEPTION_DETAIL, segue_hint = PG_EXCEPTION_HINT,
    segue_context = PG_EXCEPTION_CONTEXT, segue_schema = SCHEMA_NAME, segue_table = TABLE_NAME, segue_column = COLUMN_NAME, segue_constraint = CONSTRAINT_NAME,
    segue_type = PG_DATATYPE_NAME;
  SELECT CASE WHEN r.is_called THEN r.last_value ELSE 0 END INTO segue_row FROM ` + stageRows + ` AS r;
  IF segue_row > 0 THEN
    SELECT ` + place + ` INTO segue_place FROM ` + stageTable + ` AS l OFFSET segue_row - 1 LIMIT 1;
  END IF;
  RAISE EXCEPTION USING ERRCODE = segue_code, MESSAGE = segue_message, DETAIL = segue_detail, SCHEMA = segue_schema, TABLE = segue_table, COLUMN = segue_column,
    CONSTRAINT = segue_constraint, DATATYPE = segue_type,
    HINT = ` + mark + ` || COALESCE(segue_place, '') || ` + mark + ` || segue_context || ` + mark + ` || segue_hint;
END`
	return "DO " + dollars(body)
}

// sqlString writes a string as SQL, whatever standard_conforming_strings says.
func sqlString(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// dollars writes a string as SQL between dollars.
func dollars(s string) string {
	tag := "$segue$"
	for i := 0; strings.Contains(s, tag); i++ {
		tag = fmt.Sprintf("$segue%d$", i)
	}
	return tag + s + tag
}

// placeStaged finds where the staged COPYs are in the plan's text.
func (p *Plan) placeStaged() {
	at := 0
	for i := range p.Copies {
		if st := p.Copies[i].Staged; st != nil {
			at += strings.Index(p.SQL[at:], st.Before) + len(st.Before) + len("; ")
			st.From = at
			at += strings.Index(p.SQL[at:], "; "+st.After)
			st.To = at
		}
	}
}

// ExtendedText gives the text of a plan by the extended protocol, which takes one statement: of a staged COPY only itself. shift is how many characters of SQL are before it.
func (p *Plan) ExtendedText() (text string, shift int) {
	if len(p.Copies) == 1 && p.Copies[0].Staged != nil {
		st := p.Copies[0].Staged
		return p.SQL[st.From:st.To], countChars(p.SQL[:st.From], p.bytesOnly)
	}
	return p.SQL, 0
}
