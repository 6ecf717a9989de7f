package migrate

import (
	"fmt"
	"strings"

	"segue/rewrite/catalog"
)

// The guard of a split is in both tables: AFTER ROW triggers, since their queries take fresh snapshots at READ COMMITTED, and whoever writes has locked the source's
// row by then. Each brings the other table to what its own table says now, not to what the row was when the trigger was queued: a statement may have written it again since.
// What agrees is not written, which ends the recursion.
//
// The triggers of the source that take rows of the target along have a name before PostgreSQL's own RI_ConstraintTrigger: a foreign key without CASCADE would stop old
// code's DELETE else. The others fire last, so that a table's own errors come first.

// names of the guard's triggers and functions.
func (s *split) early(what string) string {
	return catalog.QuoteIdent("!segue_" + s.migration + ":" + what)
}

func (s *split) late(what string) string {
	return catalog.QuoteIdent("~segue_" + s.migration + ":" + what)
}

// function names one of the guard's functions. A migration's name has no colon in it, so none is taken for another's.
func (s *split) function(what string) string {
	return catalog.QuoteQualified("segue", "guard_"+s.migration+":"+what)
}

// Settings that hold for a moment: that the source's row of what is being written is locked; that a row of the target is being moved to another key; what both rows will be like when a write of
// the guard's own is through; and, for a transaction, that the values of columns which are required are still to come.
func (s *split) lockedSetting() string { return quoteLiteral("segue.locked_" + s.migration) }
func (s *split) movingSetting() string { return quoteLiteral("segue.moving_" + s.migration) }
func (s *split) imageSetting() string  { return quoteLiteral("segue.image_" + s.migration) }
func (s *split) absentSetting() string { return quoteLiteral("segue.absent_" + s.migration) }

// setTo is a statement that gives one of them a value, as SQL.
func setTo(setting, value string) string {
	return "PERFORM pg_catalog.set_config(" + setting + ", " + value + ", true);"
}

// The functions that write either table have no settings of their own: triggers of the tables that fire within run as their own code expects. So operators and types are qualified in them.

// same and unlike compare values by image, for the body of such a function.
func same(a, b string) string { return a + " OPERATOR(pg_catalog.=) " + b }

func unlike(columns []splitColumn, a, b func(c splitColumn) string) string {
	return "NOT pg_catalog.record_image_eq(ROW(" + each(columns, ", ", a) + "), ROW(" + each(columns, ", ", b) + "))"
}

// matches is true where rows have the same key.
func matches(key []splitColumn, a, b func(splitColumn) string) string {
	return each(key, " AND ", func(c splitColumn) string { return same(a(c), b(c)) })
}

func text(list ...string) string { return "ROW(" + strings.Join(list, ", ") + ")::pg_catalog.text" }

// image is what a row of either table has of the key and the columns that move.
func (s *split) image(key, moved func(c splitColumn) string) string {
	return text(each(s.key, ", ", key), each(s.moved, ", ", moved))
}

func null(splitColumn) string { return "NULL" }

// announced ends a trigger's function for a row that is what the guard itself is making of it. Within such a write, the function is called at a depth of 2 or more.
func (s *split) announced(event, image, result string) string {
	return fmt.Sprintf("  IF pg_catalog.pg_trigger_depth() > 1%s THEN\n    IF pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) %s THEN\n      RETURN %s;\n    END IF;\n  END IF;\n", event, s.imageSetting(), image, result)
}

// sourceOf and targetOf give a function that qualifies a source's or a target's column.
func sourceOf(row string) func(splitColumn) string {
	return func(c splitColumn) string { return c.source(row) }
}

func targetOf(row string) func(splitColumn) string {
	return func(c splitColumn) string { return c.targ(row) }
}

// keyDiffers is true where an UPDATE changed the key, for a trigger's WHEN.
func (s *split) keyDiffers(row func(string) func(splitColumn) string) string {
	return each(s.key, " OR ", func(c splitColumn) string { return c.differs(row("NEW")(c), row("OLD")(c)) })
}

// open refuses to go on where policies could hide rows of either table.
func (s *split) open() string {
	return fmt.Sprintf("IF pg_catalog.row_security_active(%d::pg_catalog.oid) OR pg_catalog.row_security_active(%d::pg_catalog.oid) THEN\n    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = %s, HINT = %s;\n  END IF;",
		s.source, s.target.OID, quoteLiteral(fmt.Sprintf("row security has been enabled on %s or %s while it is being split", s.table, s.to)),
		quoteLiteral(fmt.Sprintf("Migration %s could not keep rows in step that a policy hides: disable it until the migration is complete.", s.migration)))
}

// sourceBody is the function of the source's triggers.
func (s *split) sourceBody() string {
	at := func(row string) string { return matches(s.key, sourceOf("s"), sourceOf(row)) }
	target := func(row string) string { return matches(s.key, targetOf("t"), sourceOf(row)) }
	set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.to) + " = " + c.source("s") })
	excluded := each(s.moved, ", ", func(c splitColumn) string {
		return catalog.QuoteIdent(c.to) + " = EXCLUDED." + catalog.QuoteIdent(c.to)
	})
	columns := targets(s.key, "") + ", " + targets(s.moved, "")
	update := fmt.Sprintf("UPDATE %s AS t SET %s FROM %s AS s WHERE %s AND %s AND %s AND %s;", s.to, set, s.table, at("NEW"), target("NEW"), s.filled("s"), unlike(s.moved, targetOf("t"), sourceOf("s")))
	insertOf := func(row string) string {
		return fmt.Sprintf("INSERT INTO %s AS t (%s) SELECT %s, %s FROM %s AS s WHERE %s AND %s ON CONFLICT (%s) DO ", s.to, columns,
			sources(s.key, "s"), sources(s.moved, "s"), s.table, at(row), s.filled("s"), targets(s.key, ""))
	}
	insert := insertOf("NEW")
	// The statement may have given the key of a row that it deleted to another one: what the target has of it is the former row's, whatever the source has now.
	former := func(row string) string { return fmt.Sprintf("%s AS t WHERE %s", s.to, target(row)) }
	without := func(row string) string {
		return fmt.Sprintf("%s AS t WHERE %s AND NOT EXISTS (SELECT FROM %s AS s WHERE %s AND %s)", s.to, target(row), s.table, at(row), s.filled("s"))
	}
	announce := setTo(s.imageSetting(), s.image(sourceOf("NEW"), sourceOf("NEW")))
	var b strings.Builder
	b.WriteString("DECLARE\n  wrote pg_catalog.bool := false;\nBEGIN\n" + s.announced(" AND TG_OP = 'UPDATE'", s.image(sourceOf("NEW"), sourceOf("NEW")), "NULL") + "  " + s.open() + "\n")
	fmt.Fprintf(&b, "  IF TG_OP = 'DELETE' AND TG_NARGS > 0 THEN -- the key may have been given again before this row's turn came\n    %sNOTHING;\n    RETURN NULL;\n  END IF;\n", insertOf("OLD"))
	fmt.Fprintf(&b, "  IF TG_OP = 'DELETE' THEN\n    %s\n    DELETE FROM %s;\n    wrote := FOUND;\n    %s\n", setTo(s.imageSetting(), s.image(sourceOf("OLD"), null)), former("OLD"), setTo(s.imageSetting(), "''"))
	fmt.Fprintf(&b, "    IF NOT wrote THEN\n%s      IF EXISTS (SELECT FROM %s) THEN\n        %s\n      END IF;\n    END IF;\n    RETURN NULL;\n  END IF;\n", s.probe("      "), former("OLD"), s.raiseKept(s.to))
	fmt.Fprintf(&b, "  IF TG_OP = 'INSERT' THEN\n    %s\n    %sNOTHING;\n    wrote := FOUND;\n    IF NOT wrote THEN\n      %s\n      wrote := FOUND;\n    END IF;\n  ELSE\n", announce, insert, update)
	b.WriteString("    IF TG_NARGS > 0 THEN -- the key has changed: the row goes along, with what else it has\n")
	fmt.Fprintf(&b, "      %s\n      DELETE FROM %s;\n", setTo(s.imageSetting(), s.image(sourceOf("NEW"), null)), former("NEW"))
	fmt.Fprintf(&b, "      %s\n      UPDATE %s AS t SET %s WHERE %s;\n", setTo(s.movingSetting(), text(each(s.key, ", ", sourceOf("OLD")), each(s.key, ", ", sourceOf("NEW")))), s.to,
		each(s.key, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.to) + " = " + c.source("NEW") }), target("OLD"))
	fmt.Fprintf(&b, "      IF NOT FOUND THEN\n%s      END IF;\n      %s\n    END IF;\n    %s\n", s.probe("        "), setTo(s.movingSetting(), "''"), announce)
	fmt.Fprintf(&b, "    IF %s THEN\n      %s\n      wrote := FOUND;\n      IF NOT wrote THEN\n        %sUPDATE SET %s WHERE %s;\n        wrote := FOUND;\n      END IF;\n", s.filled("NEW"), update, insert, excluded, unlike(s.moved, targetOf("t"), targetOf("EXCLUDED")))
	fmt.Fprintf(&b, "    ELSE\n      DELETE FROM %s;\n      wrote := FOUND;\n      IF NOT wrote THEN\n%s      END IF;\n    END IF;\n  END IF;\n  %s\n", without("NEW"), s.probe("        "), setTo(s.imageSetting(), "''"))
	fmt.Fprintf(&b, "  IF NOT wrote AND EXISTS (SELECT FROM %s AS s LEFT JOIN %s AS t ON %s WHERE %s AND %s) THEN\n    %s\n  END IF;\n  RETURN NULL;\nEND",
		s.table, s.to, matches(s.key, targetOf("t"), sourceOf("s")), at("NEW"), s.disagreeSafely("s"), s.raiseKept(s.to))
	return b.String()
}

// disagreeSafely is disagree for the body of a function.
func (s *split) disagreeSafely(source string) string {
	return fmt.Sprintf("CASE WHEN %s IS NOT NULL THEN NOT (%s) OR %s ELSE %[2]s END", s.key[0].targ("t"), s.filled(source), unlike(s.moved, sourceOf(source), targetOf("t")))
}

// probe finds a row of the target that the transaction's snapshot is too old for: PostgreSQL raises 40001 for it where it would conflict. Nothing is kept of the try. It is
// for the values that the row had, OLD, which the target has taken before, or would have.
func (s *split) probe(indent string) string {
	lines := []string{
		"IF pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') AND " + s.filled("OLD") + " THEN",
		"  BEGIN",
		fmt.Sprintf("    INSERT INTO %s (%s, %s) VALUES (%s, %s) ON CONFLICT (%s) DO NOTHING;", s.to, targets(s.key, ""), targets(s.moved, ""), sources(s.key, "OLD"), sources(s.moved, "OLD"), targets(s.key, "")),
		"    RAISE EXCEPTION USING ERRCODE = 'SG001';",
		"  EXCEPTION WHEN SQLSTATE 'SG001' OR integrity_constraint_violation THEN",
		"    NULL; -- there is none",
		"  END;",
		"END IF;",
	}
	return indent + strings.Join(lines, "\n"+indent) + "\n"
}

// raiseKept says that a trigger or rule of the other table's own has kept the guard from writing.
func (s *split) raiseKept(table string) string {
	return fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = %s, HINT = %s;",
		quoteLiteral(fmt.Sprintf("the row could not be brought to %s: a trigger or a rule there kept it from being written", table)),
		quoteLiteral(fmt.Sprintf("Migration %s keeps %s and %s in agreement: let triggers there change no column that moves, and suppress no row.", s.migration, s.table, s.to)))
}

// targetBody is the function of the target's triggers: it brings the source's row of a key to what the target has of it, of the key that a row had and of the one that it has.
func (s *split) targetBody(required bool) string {
	variable := func(c splitColumn) string {
		for i, k := range s.key {
			if k.from == c.from {
				return fmt.Sprintf("key_%d", i)
			}
		}
		return "NULL"
	}
	assign := func(row string) string {
		return each(s.key, " ", func(c splitColumn) string { return variable(c) + " := " + c.targ(row) + ";" })
	}
	at := matches(s.key, sourceOf("s"), variable)
	var b strings.Builder
	b.WriteString("DECLARE\n" + each(s.key, "\n", func(c splitColumn) string { return "  " + variable(c) + " " + s.targetType(c) + ";" }))
	b.WriteString("\n  source_there pg_catalog.bool;\n  target_there pg_catalog.bool;\n  target_empty pg_catalog.bool;\n  agree pg_catalog.bool;\n  image pg_catalog.text;\nBEGIN\n")
	b.WriteString(s.announced(" AND TG_OP = 'DELETE'", s.image(targetOf("OLD"), null), "NULL") + s.announced(" AND TG_OP <> 'DELETE'", s.image(targetOf("NEW"), targetOf("NEW")), "NULL") + "  " + s.open() + "\n")
	fmt.Fprintf(&b, "  IF TG_OP = 'UPDATE' AND pg_catalog.pg_trigger_depth() > 1 THEN\n    IF pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) %s THEN\n      RETURN NULL; -- the source's row has moved, and this one with it\n    END IF;\n  END IF;\n",
		s.movingSetting(), text(each(s.key, ", ", targetOf("OLD")), each(s.key, ", ", targetOf("NEW"))))
	fmt.Fprintf(&b, "  FOR turn IN 1 .. 2 LOOP\n    IF turn = 1 THEN\n      CONTINUE WHEN TG_OP = 'INSERT';\n      IF TG_OP = 'UPDATE' THEN\n        CONTINUE WHEN NOT (%s);\n      END IF;\n      %s\n    ELSE\n      EXIT WHEN TG_OP = 'DELETE';\n      %s\n    END IF;\n",
		unlike(s.key, targetOf("NEW"), targetOf("OLD")), assign("OLD"), assign("NEW"))
	fmt.Fprintf(&b, "    FOR attempt IN 1 .. 2 LOOP\n      SELECT %s IS NOT NULL, %s IS NOT NULL, %s, NOT (%s), %s INTO source_there, target_there, target_empty, agree, image\n        FROM (SELECT) AS one LEFT JOIN %s AS s ON %s LEFT JOIN %s AS t ON %s;\n",
		s.key[0].source("s"), s.key[0].targ("t"), s.empty("t"), s.disagreeSafely("s"), s.image(sourceOf("s"), targetOf("t")), s.table, at, s.to, matches(s.key, targetOf("t"), variable))
	fmt.Fprintf(&b, "      IF NOT source_there AND target_there THEN\n        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = %s, DETAIL = pg_catalog.format('Key (%%s)=(%%s) is not present in %%s.', %s, %s, %s),\n          HINT = %s, SCHEMA = %s, TABLE = %s;\n      END IF;\n",
		quoteLiteral(fmt.Sprintf("a row of %s needs one of %s", s.to, s.table)), quoteLiteral(each(s.key, ", ", func(c splitColumn) string { return c.to })), s.keyText(variable), quoteLiteral(s.table),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, its values are kept in %s, too.", s.migration, s.table)), quoteLiteral(s.into.Schema), quoteLiteral(s.into.Name))
	fmt.Fprintf(&b, "      IF target_there AND target_empty THEN\n        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = %s,\n          HINT = %s, SCHEMA = %s, TABLE = %s;\n      END IF;\n",
		quoteLiteral(fmt.Sprintf("a row of %s whose %s are all NULL has no form in %s", s.to, targets(s.moved, ""), s.table)),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, old code could not tell it from no row: delete the row, or let it have a value; from complete on it is taken.", s.migration)), quoteLiteral(s.into.Schema), quoteLiteral(s.into.Name))
	fmt.Fprintf(&b, "      EXIT WHEN NOT source_there OR agree;\n      IF attempt = 2 THEN\n        %s\n      END IF;\n", s.raiseKept(s.table))
	if required {
		fmt.Fprintf(&b, "      IF NOT target_there THEN\n        %s\n      END IF;\n", setTo(s.absentSetting(), "'on'"))
	}
	set := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.from) + " = " + c.targ("t") })
	fmt.Fprintf(&b, "      %s\n      UPDATE %s AS s SET %s FROM (SELECT) AS one LEFT JOIN %s AS t ON %s WHERE %s;\n      EXIT WHEN FOUND;\n    END LOOP;\n    %s\n  END LOOP;\n  RETURN NULL;\nEND",
		setTo(s.imageSetting(), "image"), s.table, set, s.to, matches(s.key, targetOf("t"), variable), at, setTo(s.imageSetting(), "''"))
	return b.String()
}

// targetType is a key's type, to declare a variable of, whatever the search path is.
func (s *split) targetType(c splitColumn) string {
	if c.base != c.typ {
		return c.base
	}
	return s.to + "." + catalog.QuoteIdent(c.to) + "%TYPE"
}

// parameters are the key's values as a function's parameters.
func (s *split) parameters() string {
	return each(s.key, ", ", func(c splitColumn) string { return c.base })
}

func (s *split) parameter(c splitColumn) string {
	for i, k := range s.key {
		if k.from == c.from {
			return fmt.Sprintf("$%d", i+1)
		}
	}
	return "NULL"
}

func (s *split) keyText(row func(splitColumn) string) string {
	return "pg_catalog.concat_ws(', ', " + each(s.key, ", ", row) + ")"
}

// intoBody locks the source's row before a row comes into the target: the order of locks is source, target.
func (s *split) intoBody() string {
	return "BEGIN\n" + s.announced("", s.image(targetOf("NEW"), targetOf("NEW")), "NEW") +
		fmt.Sprintf("  IF COALESCE(pg_catalog.current_setting(%s, true), '') OPERATOR(pg_catalog.<>) 'on' THEN\n%s  END IF;\n  RETURN NEW;\nEND",
			s.lockedSetting(), s.lockSource("    ", targetOf("NEW")))
}

// cutBody brings one table to what TRUNCATE has made of the other.
func (s *split) cutBody(required bool) string {
	mark := ""
	if required {
		mark = fmt.Sprintf("    PERFORM pg_catalog.set_config(%s, 'on', true);\n", s.absentSetting())
	}
	nulls := each(s.moved, ", ", func(c splitColumn) string { return catalog.QuoteIdent(c.from) + " = NULL" })
	// TRUNCATE takes rows that the transaction's snapshot is too old for, which no statement could change: so the files are asked whether there are any.
	empty := func(oid uint32) string {
		return fmt.Sprintf("pg_catalog.pg_relation_size(%d::pg_catalog.oid::pg_catalog.regclass) OPERATOR(pg_catalog.=) 0", oid)
	}
	return fmt.Sprintf("BEGIN\n  IF TG_NARGS > 0 THEN\n    IF NOT %s THEN\n      TRUNCATE %s;\n    END IF;\n    RETURN NULL;\n  END IF;\n", empty(s.target.OID), s.to) +
		fmt.Sprintf("  IF NOT %s AND pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN\n    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = %s, HINT = %s;\n  END IF;\n",
			empty(s.source), quoteLiteral(fmt.Sprintf("%s cannot be truncated in a transaction with a snapshot of its own, for which rows of %s may be too new", s.to, s.table)),
			quoteLiteral(fmt.Sprintf("Until migration %s is complete: TRUNCATE at READ COMMITTED, or DELETE.", s.migration))) +
		fmt.Sprintf("  IF EXISTS (SELECT FROM %[1]s AS s WHERE %[2]s) THEN\n%[3]s    UPDATE %[1]s AS s SET %[4]s WHERE %[2]s;\n  END IF;\n  RETURN NULL;\nEND", s.table, s.filled("s"), mark, nulls)
}

// aloneBody raises where the target has a row of the key: what the foreign key would, or a refusal.
func (s *split) aloneBody() string {
	source := s.from
	raise := fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = %s, HINT = %s, SCHEMA = %s, TABLE = %s;",
		quoteLiteral(fmt.Sprintf("the row of %s has one in %s, which would be left without it", s.table, s.to)),
		quoteLiteral(fmt.Sprintf("Until migration %s is complete, old code could not tell such a row from none: delete the one in %s first; from complete on it is left.", s.migration, s.to)), quoteLiteral(s.into.Schema), quoteLiteral(s.into.Name))
	if f := s.target.Foreign; f != nil {
		raise = fmt.Sprintf("RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = %s, DETAIL = pg_catalog.format('Key (%%s)=(%%s) is still referenced from table \"%%s\".', %s, %s, %s),\n      SCHEMA = %s, TABLE = %[4]s, CONSTRAINT = %[6]s;",
			quoteLiteral(fmt.Sprintf("update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"", source.Name, f.Name, s.into.Name)),
			quoteLiteral(each(s.key, ", ", func(c splitColumn) string { return c.from })), s.keyText(s.parameter), quoteLiteral(s.into.Name), quoteLiteral(s.into.Schema), quoteLiteral(f.Name))
	}
	return fmt.Sprintf("BEGIN\n  IF EXISTS (SELECT FROM %s AS t WHERE %s) THEN\n    %s\n  END IF;\n  RETURN true;\nEND", s.to, matches(s.key, targetOf("t"), s.parameter), raise)
}

func (s *split) lockBody() string {
	return "BEGIN\n" + s.lockSource("  ", s.parameter) + "  RETURN true;\nEND"
}

// lockSource locks the source's row of a key, where there is one. Whoever held it meanwhile may have deleted it and given its key to another row, which the snapshot of the statement that waited
// does not have: the next one does. Every turn but the last means that somebody has written the key once more.
func (s *split) lockSource(indent string, key func(splitColumn) string) string {
	return indent + strings.Join([]string{
		"FOR attempt IN 1 .. 100 LOOP",
		fmt.Sprintf("  PERFORM FROM %s AS s WHERE %s FOR NO KEY UPDATE;", s.table, matches(s.key, sourceOf("s"), key)),
		"  EXIT WHEN FOUND;",
		fmt.Sprintf("  PERFORM FROM %s AS s WHERE %s;", s.table, matches(s.key, sourceOf("s"), key)),
		"  EXIT WHEN NOT FOUND;",
		"END LOOP;",
	}, "\n"+indent) + "\n"
}

// nullBody raises what the source's NOT NULL did, at once, unless the values are said to be still to come. The row that it shows is the one that the server would: to who may read all of it, every value
// by its output function, and no more than 64 bytes of one. Columns that are generated have no value yet; where there are any, it shows none.
func (s *split) nullBody(required []splitColumn) string {
	var b strings.Builder
	b.WriteString("DECLARE\n  name pg_catalog.text;\n  value pg_catalog.text;\n  failing pg_catalog.text[];\n  detail pg_catalog.text := '';\nBEGIN\n")
	fmt.Fprintf(&b, "  IF COALESCE(pg_catalog.current_setting(%s, true), '') OPERATOR(pg_catalog.=) 'on' THEN\n    RETURN NEW;\n  END IF;\n", s.absentSetting())
	b.WriteString(`  IF pg_catalog.has_table_privilege(TG_RELID, 'SELECT') AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) TG_RELID AND a.attgenerated OPERATOR(pg_catalog.<>) '') THEN
    FOR name IN SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid OPERATOR(pg_catalog.=) TG_RELID AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY a.attnum LOOP
      EXECUTE 'SELECT CASE WHEN pg_catalog.num_nulls($1.' OPERATOR(pg_catalog.||) name OPERATOR(pg_catalog.||) ') OPERATOR(pg_catalog.=) 1 THEN ''null'' ELSE pg_catalog.format(''%s'', $1.' OPERATOR(pg_catalog.||) name OPERATOR(pg_catalog.||) ') END'
        INTO value USING NEW;
      IF pg_catalog.octet_length(value) OPERATOR(pg_catalog.>) 64 THEN
        value := pg_catalog.left(value, 64);
        WHILE pg_catalog.octet_length(value) OPERATOR(pg_catalog.>) 64 LOOP
          value := pg_catalog.left(value, -1);
        END LOOP;
        value := value OPERATOR(pg_catalog.||) '...';
      END IF;
      failing := pg_catalog.array_append(failing, value);
    END LOOP;
    detail := 'Failing row contains (' OPERATOR(pg_catalog.||) pg_catalog.array_to_string(failing, ', ') OPERATOR(pg_catalog.||) ').';
  END IF;
`)
	for _, c := range required {
		fmt.Fprintf(&b, "  IF pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.=) 1 THEN\n    IF detail OPERATOR(pg_catalog.=) '' THEN\n      %s\n    END IF;\n    %s\n  END IF;\n",
			c.source("NEW"), s.raiseNull(c, ""), s.raiseNull(c, "DETAIL = detail, "))
	}
	b.WriteString("  RETURN NEW;\nEND")
	return b.String()
}

// givenBody raises the same at the transaction's end, of what the row is then.
func (s *split) givenBody(required []splitColumn) string {
	var b strings.Builder
	b.WriteString("DECLARE\n")
	for i := range required {
		fmt.Fprintf(&b, "  null_%d boolean;\n", i)
	}
	var out []string
	for i := range required {
		out = append(out, fmt.Sprintf("null_%d", i))
	}
	fmt.Fprintf(&b, "BEGIN\n  SELECT %s INTO %s FROM %s AS s WHERE %s;\n", each(required, ", ", func(c splitColumn) string { return "pg_catalog.num_nulls(" + c.source("s") + ") = 1" }),
		strings.Join(out, ", "), s.table, matches(s.key, sourceOf("s"), sourceOf("NEW")))
	for i, c := range required {
		fmt.Fprintf(&b, "  IF null_%d THEN\n    %s\n  END IF;\n", i, s.raiseNull(c, ""))
	}
	b.WriteString("  RETURN NULL;\nEND")
	return b.String()
}

// raiseNull raises what the source's NOT NULL of a column did; detail is "", or the error's DETAIL and a comma.
func (s *split) raiseNull(c splitColumn, detail string) string {
	source := s.from
	return fmt.Sprintf("RAISE EXCEPTION USING %sERRCODE = 'not_null_violation', MESSAGE = %s, SCHEMA = %s, TABLE = %s, COLUMN = %s;",
		detail, quoteLiteral(fmt.Sprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.from, source.Name)), quoteLiteral(source.Schema), quoteLiteral(source.Name), quoteLiteral(c.from))
}
