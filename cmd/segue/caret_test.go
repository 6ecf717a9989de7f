package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
)

// The caret stands where psql puts it, in the line that psql shows.
func TestCaretIsPsqls(t *testing.T) {
	db := pgtest.Database(t)
	dsn := pgtest.Shared().DSN(db)
	conn := pgtest.Connect(t, dsn)
	psql, err := pgtest.FindProgram("psql")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("'some words', ", 12)
	for _, sql := range []string{
		"SELECT nothing",
		"SELECT 1,\n  2, nothing\nFROM pg_class",
		"SELECT\t1,\t\tnothing, 2",
		"SELECT '日本語', 'größe', nothing, 'ünï'",
		"SELECT '\u0065\u0301', nothing", // a letter with a combining accent
		"SELECT " + long + "nothing",
		"SELECT nothing, " + long + "1",
		"SELECT " + long + "nothing, " + long + "1",
		"SELECT " + strings.Repeat("'日本語', ", 20) + "nothing, " + strings.Repeat("'日本語', ", 20) + "1",
		"SELECT 1\r\n, nothing",
		"SELECT 1 FROM",
		"SELECT " + strings.Repeat("x", 100),
	} {
		_, err := conn.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Position == 0 {
			t.Fatalf("%q: %v", sql, err)
		}
		cmd := exec.Command(psql, "-X", "-d", dsn, "-c", sql)
		cmd.Env = append(os.Environ(), "PGCLIENTENCODING=UTF8", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("psql took %q", sql)
		}
		_, want, _ := strings.Cut(string(out), "\nLINE ")
		want = "LINE " + strings.TrimRight(want, "\n")
		if got := strings.Join(caret(sql, int(pgErr.Position)), "\n"); got != want {
			t.Errorf("%q:\n%s\npsql:\n%s", sql, got, want)
		}
	}
	if got := caret("SELECT 1", 0); got != nil {
		t.Errorf("without a position: %q", got)
	}
}

func TestExplainReadsStandardInput(t *testing.T) {
	file := write(t, rename)
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"explain", "--migration", file, "--phase", "complete", "--version", "old", "-"}, stdio{strings.NewReader("SELECT name FROM users\n"), &out, &errs})
	if want := "SELECT users.full_name AS name FROM users\n"; code != exitDone || !strings.Contains(out.String(), want) {
		t.Errorf("%d: %s%s", code, out.String(), errs.String())
	}
}
