package rewrite

import (
	"testing"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// A partition that was made after columns had gone has them, for old code, where the table had them: also where the next column is another migration's.
func TestPlacesOfColumnsThatAPartitionNeverHad(t *testing.T) {
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	col := func(name string, num int16) catalog.Column { return catalog.Column{Name: name, Num: num, Type: text} }
	table := &catalog.Relation{OID: 1, Schema: "public", Name: "t", Kind: catalog.PartitionedTable, PrimaryKey: []string{"id"}, Columns: []catalog.Column{col("id", 1), col("c", 5), col("d", 6)}}
	part := &catalog.Relation{OID: 2, Schema: "public", Name: "t_1", Kind: catalog.Table, PrimaryKey: []string{"id"}, Parents: []uint32{1}, Columns: []catalog.Column{col("id", 1), col("c", 2), col("d", 3)}}
	migration := func(name string, seq int64, from, to string, num int16) Migration {
		return Migration{
			Definition: &lens.Definition{Name: name, Table: lens.TableName{Schema: "public", Name: "t"}, RenameColumn: &lens.RenameColumn{From: from, To: to}},
			Stage:      lens.Stage{Phase: lens.Complete, Proved: true}, OldNums: map[string]int16{from: num}, Seq: seq,
		}
	}
	st, err := NewState(1, catalog.New([]*catalog.Relation{table, part}, nil, nil), []Migration{migration("one", 1, "a", "c", 3), migration("two", 2, "b", "d", 2)})
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[lens.Version]string{
		lens.Old: "SELECT t_1.id, t_1.d AS b, t_1.c AS a FROM t_1",
		"one":    "SELECT t_1.id, t_1.d AS b, t_1.c FROM t_1",
		lens.New: "SELECT t_1.id, t_1.c, t_1.d FROM t_1",
	} {
		if p := st.Plan("SELECT * FROM t_1", settings(version)); p.SQL != want {
			t.Errorf("%s: %s", version, p.SQL)
		}
	}
}
