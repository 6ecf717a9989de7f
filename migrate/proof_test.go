package migrate

import (
	"context"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// TestProofByCheck has a CHECK hold the sides together beside the guard, in each kind of migration, from the backfill to where one side goes, there and back.
func TestProofByCheck(t *testing.T) {
	for _, c := range []struct {
		name, table string
		def         lens.Definition
		apart       string // SET of an UPDATE that takes the sides apart
	}{
		{"rename", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text NOT NULL DEFAULT 'x'); INSERT INTO "Odd Table" VALUES (1, '1'), (2, '2')`, lens.Definition{RenameColumn: &lens.RenameColumn{From: "a", To: "b"}}, "b = 'other'"},
		{
			"change", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text); INSERT INTO "Odd Table" VALUES (1, '1'), (2, NULL)`,
			lens.Definition{ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "bigint", Up: "a::bigint", Down: "b::text"}},
			"b = 7",
		},
		{
			"tighten", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text); INSERT INTO "Odd Table" VALUES (1, '1'), (2, NULL)`,
			lens.Definition{ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "text", Up: "COALESCE(a, 'none')", Down: "NULLIF(b, 'none')", NotNull: true, AppName: "a"}},
			"b = 'q'",
		},
		{
			"lossy", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text); INSERT INTO "Odd Table" VALUES (1, '1'), (2, '007')`,
			lens.Definition{Allow: []string{"lossy"}, ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "bigint", Up: "a::bigint", Down: "b::text"}},
			"b = 8",
		},
		{
			"one way", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text); INSERT INTO "Odd Table" VALUES (1, '1')`,
			lens.Definition{ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "int", Up: "length(a)"}},
			"b = 8",
		},
		{
			"coming", `CREATE TABLE "Odd Table" (id int PRIMARY KEY, a text); INSERT INTO "Odd Table" VALUES (1, 'A')`,
			lens.Definition{Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "b", Type: "text", Up: "lower(a)"}}}},
			"b = 'B'",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, c.table)
			p := e.proxy(0)
			before := e.dump()
			ctx := context.Background()
			c.def.Name, c.def.Table, c.def.Proof = "m", lens.TableName{Schema: "public", Name: "Odd Table"}, "check"
			to := func(phase lens.Phase) {
				t.Helper()
				p.ok(p.Advance(ctx, "m", proxy.AdvanceOptions{To: &phase, Yes: true}))
			}
			p.ok(p.Start(ctx, &c.def, proxy.StartOptions{}))
			to(lens.Backfilling)
			const check = "SELECT count(*) FROM pg_constraint WHERE conname = 'segue_m_proof' AND convalidated"
			e.want(check, "1")
			e.exec("BEGIN", `ALTER TABLE "Odd Table" DISABLE TRIGGER "~segue_m"`)
			e.fails(`UPDATE "Odd Table" SET `+c.apart, "23514")
			e.exec("ROLLBACK")
			to(lens.Contract)
			pending := lens.Pending
			p.ok(p.Rollback(ctx, "m", proxy.AdvanceOptions{To: &pending}))
			p.ok(p.Drop(ctx, "m"))
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
			p.ok(p.Start(ctx, &c.def, proxy.StartOptions{}))
			to(lens.Contract)
			p.hooks.on("settled write-new", die)
			complete := lens.Complete
			if err := p.Advance(ctx, "m", proxy.AdvanceOptions{To: &complete, Yes: true}); err != nil {
				t.Fatal(err)
			}
			p.finished()
			p.hooks.on("settled write-new", nil)
			e.exec(`INSERT INTO "Odd Table" (id, b) VALUES (100, DEFAULT)`)
			to(lens.Complete)
			e.want(check, "0")
			p.ok(p.Retire(ctx, "m", proxy.RetireOptions{}))
			if got := e.dump(); strings.Contains(got, "segue") {
				t.Errorf("something of Segue's is left:\n%s", got)
			}
		})
	}
}

// TestProofByCheckFindsRowsApart has a row apart when the CHECK is validated: it says what to do, and that helps.
func TestProofByCheckFindsRowsApart(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	def := renameUsers()
	def.Proof = "check"
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	p.hooks.on("validate segue_users_full_name_proof", func() error {
		e.exec("ALTER TABLE users DISABLE TRIGGER USER, DROP CONSTRAINT segue_users_full_name_proof", "UPDATE users SET full_name = 'apart' WHERE id = 13",
			`ALTER TABLE users ENABLE ALWAYS TRIGGER "~segue_users_full_name", ADD CONSTRAINT segue_users_full_name_proof CHECK (full_name = name) NOT VALID`)
		return nil
	})
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "the gate of proved refuses: some rows are apart: `segue verify users_full_name --repair`") {
		t.Fatal(text)
	}
	p.hooks.on("validate segue_users_full_name_proof", nil)
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	p.at(lens.Backfilling, lens.NoStep, true)
	if v := p.migration().Verify; v.Repaired != 1 {
		t.Errorf("%+v", v)
	}
}
