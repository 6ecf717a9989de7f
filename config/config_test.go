package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The pages of testdata/pages: a TOML file, and what becomes of it. `go test ./config -rewrite` writes the answers anew.
func TestPages(t *testing.T) {
	datadriven.Walk(t, "testdata/pages", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out any
			var err error
			switch d.Cmd {
			case "definition":
				out, err = ParseDefinition("m.toml", d.Input)
			case "settings":
				env := map[string]string{}
				for _, arg := range d.CmdArgs {
					env[arg.Key] = strings.Join(arg.Vals, ",")
				}
				s := Default(func(name string) string { return env[name] })
				if err = s.ParseSettings("segue.toml", d.Input); err == nil {
					err = s.Validate()
				}
				out = s
			default:
				t.Fatalf("no command %q", d.Cmd)
			}
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Errorf("%T is no *Error", err)
				}
				return err.Error()
			}
			b, err := json.MarshalIndent(out, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		})
	})
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.toml")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.toml"): "none.toml: cannot be read: no such file or directory",
		dir:                             "is a directory",
		big:                             "no such file has more than",
	} {
		if _, err := ReadDefinition(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadDefinition(%s): %v; want %q", path, err, want)
		}
		if err := Default(os.Getenv).ReadSettings(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadSettings(%s): %v; want %q", path, err, want)
		}
	}
}

func TestServerAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"db":                      "db:5432",
		"db:6000, 10.0.0.1":       "db:6000 10.0.0.1:5432",
		"[::1]:5433":              "[::1]:5433",
		"[::1]":                   "[::1]:5432",
		"a:1,b:2":                 "a:1 b:2",
		"":                        "error",
		"a,,b":                    "error",
		"db:":                     "error",
		"db:x":                    "error",
		"db:99999":                "error",
		":5432":                   "error",
		"postgres://db/app":       "error",
		"db:1:2":                  "error",
		"/var/run/postgresql/":    "error",
		"/run/pg/.s.PGSQL.5433,b": "/run/pg/.s.PGSQL.5433 b:5432",
		"/run/pg/.s.PGSQL.x":      "error",
	} {
		addrs, err := (&Server{Addr: in}).Addrs()
		got := strings.Join(addrs, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s (%v); want %s", in, got, err, want)
		}
	}
}

// FuzzDefinition: whatever the text, there is a definition that is valid or one line that says why not.
func FuzzDefinition(f *testing.F) {
	f.Add("name = \"a\"\ntable = \"public.users\"\n[rename_column]\nfrom = \"name\"\nto = \"full_name\"\n")
	f.Add("name = 1\n[a.\"b,c\"]\nx = [1, {y = 2}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		def, err := ParseDefinition("m.toml", text)
		if err == nil {
			if err := ValidateDefinition(def); err != nil {
				t.Fatal(err)
			}
			return
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Fatalf("more than a line: %q", err)
		}
	})
}
