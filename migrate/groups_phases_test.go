package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// TestGroupRepair makes rows agree that were written with the guard out of the way, by the side that the phase reads.
func TestGroupRepair(t *testing.T) {
	e := newEnv(t, productsTable)
	c := e.carrier(pattern{def: products()})
	past := func(sql string) {
		e.exec("SET session_replication_role = replica", `ALTER TABLE products DISABLE TRIGGER "~segue_price_bigint"`, sql,
			`ALTER TABLE products ENABLE ALWAYS TRIGGER "~segue_price_bigint"`, "RESET session_replication_role")
	}
	c.start()
	c.advance(lens.Backfilling)
	past("UPDATE products SET price_v2 = 1000 WHERE id IN (5, 6)")
	c.ok(c.Verify(context.Background(), c.def.Name, true))
	c.at(lens.Backfilling, lens.NoStep, true)
	e.want("SELECT price || price_v2 FROM products WHERE id = 5", "55")
	c.advance(lens.SwitchReads)
	past("UPDATE products SET price = '1000' WHERE id IN (5, 6)")
	c.ok(c.Verify(context.Background(), c.def.Name, true))
	c.at(lens.SwitchReads, lens.NoStep, true)
	e.want("SELECT price || price_v2 FROM products WHERE id = 5", "55")
}

// TestGroupCrash ends a coordinator at every point of the way to complete that a rename does not have, or where more is done than for a rename.
func TestGroupCrash(t *testing.T) {
	setup := productsTable + "DELETE FROM products WHERE id > 20;"
	def := products()
	def.Allow, def.ChangeType.OnError = []string{"lossy"}, "null"
	way := func(c *carrier) error {
		c.t.Helper()
		if err := c.Start(context.Background(), c.def, proxy.StartOptions{}); err != nil {
			return err
		}
		if text := c.finished(); text != "" {
			return fmt.Errorf("%s", text)
		}
		if err := c.goTo(lens.Complete); err != nil {
			return err
		}
		if text := c.finished(); text != "" {
			return fmt.Errorf("%s", text)
		}
		if err := c.Retire(context.Background(), c.def.Name, proxy.RetireOptions{}); err != nil {
			return err
		}
		if text := c.finished(); text != "" {
			return fmt.Errorf("%s", text)
		}
		return nil
	}
	e := newEnv(t, setup)
	c := e.carrier(pattern{def: def})
	var points []string
	seen := map[string]bool{}
	// The epochs in which nothing else is done for a group than for a rename.
	for _, name := range []string{"dual-write", "backfill", "prove", "switch-reads", "contract", "infer-new"} {
		seen["written "+name] = true
	}
	c.hooks.all(func(point string) error {
		if !seen[point] && !strings.HasPrefix(point, "before ") && !strings.HasPrefix(point, "settled ") && point != "leave" {
			points = append(points, point)
		}
		seen[point] = true
		return nil
	})
	if err := way(c); err != nil {
		t.Fatal(err)
	}
	arrived := e.dump()
	c.end()
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			e := newEnv(t, setup)
			c, d := e.carrier(pattern{def: def}), e.carrier(pattern{def: def})
			c.hooks.all(func(p string) error {
				if p == point {
					return errTest
				}
				return nil
			})
			if err := way(c); err == nil {
				t.Fatal("it was to be ended")
			}
			if d.migration().Phase == lens.Retired {
				d.ok(d.Retire(context.Background(), def.Name, proxy.RetireOptions{}))
				return
			}
			d.ok(d.Advance(context.Background(), def.Name, proxy.AdvanceOptions{To: new(lens.Complete), Yes: true}))
			d.ok(d.Retire(context.Background(), def.Name, proxy.RetireOptions{}))
			if got := e.dump(); got != arrived {
				t.Fatalf("the schema is not what it would have been:\n%s", got)
			}
		})
	}
}

// TestMigrationsAtOnce carries two migrations of one table, each at its own pace.
func TestMigrationsAtOnce(t *testing.T) {
	e := newEnv(t, productsTable)
	label := lens.Definition{
		Name: "label_title", Table: lens.TableName{Schema: "public", Name: "products"}, RenameColumn: &lens.RenameColumn{From: "label", To: "title"},
	}
	x := patterns()[0]
	x.script = func(lens.Stage) []act {
		return []act{
			{lens.Old, "INSERT INTO products (id, price, label) VALUES (ID, '7', 'seven') RETURNING label || price", "seven7"},
			{lens.New, "UPDATE products SET price_v2 = price_v2 + 5, title = title || '!' WHERE id = ID RETURNING title || price_v2", "seven!12"},
			{lens.Old, "SELECT label || price FROM products WHERE id = ID AND price = '12'", "seven!12"},
		}
	}
	c := e.carrier(x)
	script := c.acts
	c.acts = func(lens.Stage) []act { return nil } // the other one is not there yet
	c.start()
	other := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the other migration's work to end", func() bool {
			m := c.status().Migrations[1]
			if m.Error != "" {
				t.Fatal(m.Error)
			}
			return m.Working == ""
		})
	}
	other(c.Start(context.Background(), &label, proxy.StartOptions{}))
	c.acts = script
	c.advance(lens.Contract)
	to := lens.SwitchReads
	other(c.Advance(context.Background(), label.Name, proxy.AdvanceOptions{To: &to}))
	if err := c.goTo(lens.Complete); err == nil || !strings.Contains(err.Error(), "has no valid mirror") { // the other one's has the old column in it
		t.Fatalf("complete: %v", err)
	}
	c.ok(c.Verify(context.Background(), c.def.Name, false))
	c.advance(lens.Complete)
	to = lens.Complete
	other(c.Verify(context.Background(), label.Name, false))
	other(c.Advance(context.Background(), label.Name, proxy.AdvanceOptions{To: &to, Yes: true}))
	if err := c.play("complete"); err != nil {
		t.Error(err)
	}
	sharing := products()
	sharing.Name, sharing.ChangeType.To = "again", "price_v3"
	if err := c.Start(context.Background(), &sharing, proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) {
		t.Errorf("a column that another migration has: %v", err)
	}
}

// TestOneWayHasNoWayBack refuses to go back once the old side does not have what new code has written.
func TestOneWayHasNoWayBack(t *testing.T) {
	x := patterns()[3]
	e := newEnv(t, x.setup)
	c := e.carrier(pattern{def: x.def})
	c.start()
	c.hooks.all(nil)
	c.toWriteNew()
	for _, write := range []struct{ sql, want string }{
		{"UPDATE secrets SET hash = 'x' WHERE id = 1", "secret 1 x"},
		{"UPDATE secrets SET secret = 'a' WHERE id = 1", "a 0cc175b9c0f1b6a831c399e269772661"}, // past the proxies
		{"UPDATE secrets SET hash = 'y' WHERE id = 1", "a y"},
		{"UPDATE secrets SET id = 1 WHERE id = 1", "a y"},
	} {
		if got := c.direct(write.sql); got != "" {
			t.Fatalf("%s: %s", write.sql, got)
		}
		e.want("SELECT secret || ' ' || hash FROM secrets WHERE id = 1", write.want)
	}
	e.exec("INSERT INTO secrets (id, hash) VALUES (100, 'z')", "INSERT INTO secrets (id, secret) VALUES (101, 'a')")
	e.want("SELECT string_agg(COALESCE(secret, '-') || left(hash, 1), ' ' ORDER BY id) FROM secrets WHERE id >= 100", "-z a0")
	if err := c.Rollback(context.Background(), c.def.Name, proxy.AdvanceOptions{}); !errors.Is(err, proxy.ErrConflict) || !strings.Contains(err.Error(), "no way back") {
		t.Errorf("rollback: %v", err)
	}
	if err := c.Verify(context.Background(), c.def.Name, true); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("verify: %v", err)
	}
	if m := c.migration(); !m.OneWay || m.Lossy {
		t.Errorf("%+v", m)
	}
	c.advance(lens.Complete)
	e.want("SELECT hash FROM secrets WHERE id = 1", "y")
}

// TestGroupsBackFromWriteNew goes back from the last step before the drop: defaults and NOT NULLs are where they were.
func TestGroupsBackFromWriteNew(t *testing.T) {
	for i, x := range append(patterns(), general()[0]) {
		if i == 3 {
			continue // it has no way back
		}
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			c := e.carrier(x)
			c.start()
			c.toWriteNew()
			c.rollback(lens.Contract)
			c.at(lens.Contract, lens.NoStep, true)
			c.ok(c.Verify(context.Background(), c.def.Name, false))
			c.rollback(lens.Pending)
			c.drop()
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
		})
	}
}
