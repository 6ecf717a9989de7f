// Package oracle lets PostgreSQL itself judge the rewriting: the same statements go to a reference database that has just
// the old (or just the new) schema, and, rewritten, to a database in the middle of a migration; the outcomes must be equal. What a
// statement should be rewritten to is left to the goldens of package rewrite.
package oracle
