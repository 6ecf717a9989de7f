// Package arch holds the arrows between the packages: what may import what.
package arch

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	// So that a result that the go command has kept is used only while none of them has changed.
	_ "segue/config"
	_ "segue/migrate"
	_ "segue/proxy"
	_ "segue/rewrite"
	_ "segue/session"
)

// list gives what `go list -f format` says of a package.
func list(t *testing.T, format string, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-f", format}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

const imports = `{{join .Imports "\n"}}`

// Each package may import these of ours, directly; what is not named here may not be imported.
var arrows = map[string][]string{
	"segue/rewrite/catalog":  {},
	"segue/rewrite/lens":     {"segue/rewrite/catalog"},
	"segue/rewrite/copydata": {},
	"segue/rewrite":          {"segue/rewrite/catalog", "segue/rewrite/copydata", "segue/rewrite/lens"},
	"segue/session":          {"segue/rewrite", "segue/rewrite/catalog", "segue/rewrite/copydata", "segue/rewrite/lens"}, // it asks the server for relations of its own
	"segue/config":           {"segue/rewrite/lens"},
	"segue/proxy":            {"segue/migrate/agree", "segue/rewrite", "segue/rewrite/lens", "segue/session"},
	"segue/migrate/agree":    {},
	"segue/migrate":          {"segue/config", "segue/migrate/agree", "segue/proxy", "segue/rewrite", "segue/rewrite/catalog", "segue/rewrite/lens"},
}

func TestArrows(t *testing.T) {
	for pkg, allowed := range arrows {
		for _, imported := range list(t, imports, pkg) {
			if strings.HasPrefix(imported, "segue/") && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s; it may import %v", pkg, imported, allowed)
			}
		}
	}
}

func TestEveryPackageHasItsArrows(t *testing.T) {
	for _, pkg := range list(t, "{{.ImportPath}}", "segue/...") {
		if _, ok := arrows[pkg]; !ok && !strings.HasPrefix(pkg, "segue/internal/") && !strings.HasPrefix(pkg, "segue/cmd/") && pkg != "segue/bench" {
			t.Errorf("%s is not among the arrows: say what it may import", pkg)
		}
	}
}

// Package rewrite is pure, and package session does no I/O. Only direct imports count: what they use may well use package os.
func TestPurity(t *testing.T) {
	for pkg, forbidden := range map[string][]string{
		"segue/rewrite":         {"net", "os", "context", "time", "io", "syscall", "math/rand", "math/rand/v2"},
		"segue/rewrite/catalog": {"net", "os", "context", "time", "io", "syscall"},
		"segue/rewrite/lens":    {"net", "os", "context", "io", "syscall"},
		"segue/session":         {"net", "os", "context", "time", "syscall"},
		"segue/migrate/agree":   {"net", "os", "context", "io", "syscall"},
		"segue/config":          {"context", "net/http", "os/exec", "syscall"},
	} {
		for _, imported := range list(t, imports, pkg) {
			if slices.Contains(forbidden, imported) {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
	for _, pkg := range []string{"segue/rewrite", "segue/session"} {
		for _, dep := range list(t, `{{join .Deps "\n"}}`, pkg) {
			if strings.HasPrefix(dep, "github.com/jackc/") || strings.HasPrefix(dep, "go.uber.org/") {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}
