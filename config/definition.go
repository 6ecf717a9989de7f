package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"segue/rewrite/lens"
)

var migrationName = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// maxIdentifier is PostgreSQL's NAMEDATALEN - 1, in bytes: longer names are cut off by the server without a word.
const maxIdentifier = 63

// ReadDefinition reads a migration's definition from a TOML file. Errors are *Error and name the file and line.
func ReadDefinition(path string) (*lens.Definition, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return ParseDefinition(path, text)
}

// ParseDefinition reads a migration's definition from TOML text; file is what errors call it.
func ParseDefinition(file, text string) (*lens.Definition, error) {
	def := &lens.Definition{}
	doc, err := decode(file, text, def, nil)
	if err != nil {
		return nil, err
	}
	if err := ValidateDefinition(def); err != nil {
		return nil, doc.locate(err)
	}
	return def, nil
}

// ValidateDefinition checks what can be checked without the database. Errors are *Error with the key and without a file.
func ValidateDefinition(def *lens.Definition) error {
	switch {
	case def.Name == "":
		return &Error{Key: "name", Problem: `is missing: give the migration a name, such as name = "users_full_name"`}
	case !migrationName.MatchString(def.Name):
		return &Error{Key: "name", Problem: fmt.Sprintf("%q is no migration's name: use up to 40 of a-z, 0-9 and _", def.Name)}
	case reservedVersion(def.Name):
		return &Error{Key: "name", Problem: fmt.Sprintf("%q is a version's name; choose another", def.Name)}
	case def.Table == lens.TableName{}:
		return &Error{Key: "table", Problem: `is missing: name the table with its schema, such as table = "public.users"`}
	case patterns(def) == 0:
		return &Error{Problem: `has no pattern: say what changes, such as [rename_column] with from = "name" and to = "full_name"`}
	case patterns(def) > 1:
		return &Error{Key: def.Pattern(), Problem: "stands beside another pattern: one migration carries out one; make two migrations of it"}
	}
	if err := identifier("table", def.Table.Schema); err != nil {
		return err
	}
	if err := identifier("table", def.Table.Name); err != nil {
		return err
	}
	if s := def.Table.Schema; notOurs(s) {
		return &Error{Key: "table", Problem: fmt.Sprintf("is in schema %q, which is not an application's: name a table of your own", s)}
	}
	for _, word := range def.Allow {
		if !knownHazard(word) {
			return &Error{Key: "allow", Problem: fmt.Sprintf("%q is no hazard that can be allowed; those that can are %s", word, strings.Join(Hazards, ", "))}
		}
	}
	var err *Error
	switch {
	case def.RenameColumn != nil:
		err = validateRename(def)
	case def.ChangeType != nil:
		err = validateChangeType(def.ChangeType)
	case def.SplitTable != nil:
		err = validateSplit(def)
	default:
		err = validateColumns(def.Columns)
	}
	if err != nil {
		return err
	}
	g, groupErr := def.Group()
	if err := groupErr; err != nil {
		var form *lens.FormError
		if !errors.As(err, &form) {
			return &Error{Problem: err.Error()}
		}
		return &Error{Key: form.Key, Problem: oneLine(form.Err.Error())}
	}
	if (g.Adding || g.Dropping) && slices.Contains(def.Allow, HazardLossy) {
		return &Error{Key: "allow", Problem: "a migration whose columns only come, or only go, is not lossy; remove it"}
	}
	switch {
	case def.Proof != "" && def.Proof != "scan" && def.Proof != "check":
		return &Error{Key: "proof", Problem: fmt.Sprintf("%q is neither \"scan\" nor \"check\"", def.Proof)}
	case def.Proof == "check" && (def.SplitTable != nil || g.Dropping):
		return &Error{Key: "proof", Problem: "has no two columns of one row that a CHECK could compare; remove it"}
	}
	if g := def.Backfill.MaxLatencyGrowth; g != 0 && !(g > 1) {
		return &Error{Key: "backfill.max_latency_growth", Problem: "is a factor, so more than 1; leave it out for 1.2"}
	}
	if def.Backfill.MaxRowsPerSecond < 0 {
		return &Error{Key: "backfill.max_rows_per_second", Problem: "is negative; 0 means no limit"}
	}
	return nil
}

// notOurs says that a schema is PostgreSQL's, or Segue's own.
func notOurs(schema string) bool {
	return schema == "segue" || schema == "information_schema" || strings.HasPrefix(schema, "pg_")
}

func patterns(def *lens.Definition) int {
	n := 0
	for _, there := range []bool{def.RenameColumn != nil, def.ChangeType != nil, def.Columns != nil, def.SplitTable != nil} {
		if there {
			n++
		}
	}
	return n
}

// oneLine puts a text that quotes somebody's SQL into one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// reservedVersion says whether a version of that name means something else than a migration.
func reservedVersion(name string) bool {
	switch lens.Version(name) {
	case lens.Old, lens.New, lens.Auto:
		return true
	}
	return false
}

func identifier(key, name string) *Error {
	switch {
	case name == "":
		return &Error{Key: key, Problem: "is missing or empty: it takes a name as the database has it"}
	case len(name) > maxIdentifier:
		return &Error{Key: key, Problem: fmt.Sprintf("%q has %d bytes; PostgreSQL's names have at most %d", name, len(name), maxIdentifier)}
	case strings.ContainsRune(name, 0):
		return &Error{Key: key, Problem: fmt.Sprintf("%q has a zero byte, which no name can have", name)}
	}
	return nil
}
