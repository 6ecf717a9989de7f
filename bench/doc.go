// Command bench measures what the built proxy costs, beside PgBouncer, beside PostgreSQL itself and beside a trigger, and writes the table of it.
//
// `make bench` runs it. Each row of the table starts what it needs (a throwaway PostgreSQL, PgBouncer, proxies as processes), runs what is compared by turns, and
// ends it again. What the proxy does is not judged here: a statement that fails, or answers with too few rows, ends the run.
package main
