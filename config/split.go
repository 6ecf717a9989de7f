package config

import (
	"fmt"
	"slices"

	"segue/rewrite/lens"
)

// maxCreate bounds CREATE TABLE, in bytes: the parser's stack is used up by nesting.
const maxCreate = 16 << 10

func validateSplit(def *lens.Definition) *Error {
	s := def.SplitTable
	if (s.To == lens.TableName{}) {
		return &Error{Key: "split_table.to", Problem: `is missing: name the table that the columns move to, with its schema, such as to = "public.addresses"`}
	}
	for _, name := range []string{s.To.Schema, s.To.Name} {
		if err := identifier("split_table.to", name); err != nil {
			return err
		}
	}
	switch {
	case s.To == def.Table:
		return &Error{Key: "split_table.to", Problem: fmt.Sprintf("is the table itself, %s: name the one that the columns move to", s.To)}
	case notOurs(s.To.Schema):
		return &Error{Key: "split_table.to", Problem: fmt.Sprintf("is in schema %q, which is not an application's: choose one of your own", s.To.Schema)}
	case len(s.Key) == 0:
		return &Error{Key: "split_table.key", Problem: `is missing: say by which columns the rows of both tables belong together, such as key = { id = "user_id" }`}
	case len(s.Columns) == 0:
		return &Error{Key: "split_table.columns", Problem: `is missing: name the columns that move, such as columns = { address = "address" }`}
	}
	var to []string
	for _, part := range []struct {
		key   string
		pairs []lens.Pair
	}{{"split_table.key", s.KeyPairs()}, {"split_table.columns", s.ColumnPairs()}} {
		for _, p := range part.pairs {
			key := part.key + "." + p.From
			if err := identifier(part.key, p.From); err != nil {
				return err
			}
			if err := identifier(key, p.To); err != nil {
				return err
			}
			if slices.Contains(to, p.To) {
				return &Error{Key: key, Problem: fmt.Sprintf("%q is named twice: each column of %s takes one value", p.To, s.To)}
			}
			to = append(to, p.To)
			if _, inKey := s.Key[p.From]; inKey && part.key == "split_table.columns" {
				return &Error{Key: key, Problem: fmt.Sprintf("%q is in the key, which stays and does not move: remove it here", p.From)}
			}
		}
	}
	switch {
	case oneLine(s.Create) == "":
		return &Error{Key: "split_table.create", Problem: fmt.Sprintf("is missing: it takes the CREATE TABLE %s (...) that makes the table", s.To)}
	case len(s.Create) > maxCreate:
		return &Error{Key: "split_table.create", Problem: fmt.Sprintf("has %d bytes, and a CREATE TABLE has at most %d here", len(s.Create), maxCreate)}
	}
	if err := s.ParseCreate(); err != nil {
		return &Error{Key: "split_table.create", Problem: oneLine(err.Error())}
	}
	if len(def.Allow) > 0 {
		return &Error{Key: "allow", Problem: "a split has no hazard to allow; remove it"}
	}
	if def.LookupIndexes {
		return &Error{Key: "lookup_indexes", Problem: "new code of a split reads the new table, whose indexes `create` declares; remove it"}
	}
	return nil
}
