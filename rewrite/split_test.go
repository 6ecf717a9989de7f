package rewrite

import (
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// splits are what a golden's argument on= can name besides: a table that is split in a stage, its migration, and the table that columns of it move to, where that stands.
var splits = map[string]func(s lens.Stage) (*catalog.Relation, Migration, []*catalog.Relation){
	// A cascading foreign key; a column that moves has a default.
	"members": func(s lens.Stage) (*catalog.Relation, Migration, []*catalog.Relation) {
		return splitInTwo(s, &lens.Definition{
			Name: "member_homes", Table: lens.TableName{Schema: "public", Name: "members"},
			SplitTable: &lens.SplitTable{
				To: lens.TableName{Schema: "public", Name: "homes"}, Key: map[string]string{"id": "member_id"},
				Columns: map[string]string{"address": "address", "phone": "number"},
				Create:  `CREATE TABLE public.homes (member_id bigint PRIMARY KEY REFERENCES public.members ON DELETE CASCADE ON UPDATE CASCADE, address text, number text)`,
			},
		}, nil)
	},
	// A foreign key that does not cascade; a column that moves takes no NULL.
	"staff": func(s lens.Stage) (*catalog.Relation, Migration, []*catalog.Relation) {
		return splitInTwo(s, &lens.Definition{
			Name: "staff_desks", Table: lens.TableName{Schema: "public", Name: "staff"},
			SplitTable: &lens.SplitTable{
				To: lens.TableName{Schema: "public", Name: "desks"}, Key: map[string]string{"id": "staff_id"},
				Columns: map[string]string{"address": "room"},
				Create:  `CREATE TABLE public.desks (staff_id bigint PRIMARY KEY, room text NOT NULL, FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE NO ACTION)`,
			},
		}, []string{"address"})
	},
	// No foreign key; a key of two columns.
	"stock": func(s lens.Stage) (*catalog.Relation, Migration, []*catalog.Relation) {
		return splitInTwo(s, &lens.Definition{
			Name: "stock_places", Table: lens.TableName{Schema: "public", Name: "stock"},
			SplitTable: &lens.SplitTable{
				To: lens.TableName{Schema: "public", Name: "places"}, Key: map[string]string{"id": "stock_id", "name": "stock_name"},
				Columns: map[string]string{"address": "address"},
				Create:  `CREATE TABLE public.places (stock_name text, stock_id bigint, address text, PRIMARY KEY (stock_id, stock_name))`,
			},
		}, nil)
	},
}

// splitInTwo is a table with id, name, address and phone, as it and the one that columns of it move to physically are in a stage.
func splitInTwo(s lens.Stage, def *lens.Definition, required []string) (*catalog.Relation, Migration, []*catalog.Relation) {
	text, bigint := catalog.Type{OID: 25, Mod: -1, SQL: "text"}, catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}
	gone := s.Phase == lens.Complete && s.Step == lens.NoStep
	r := &catalog.Relation{OID: 1021, Schema: "public", Name: def.Table.Name, Kind: catalog.Table, PrimaryKey: []string{"id"}}
	m := Migration{Definition: def, OldNums: map[string]int16{}, OldTypes: map[string]catalog.Type{}}
	for i, c := range []catalog.Column{{Name: "id", Type: bigint, NotNull: true}, {Name: "name", Type: text}, {Name: "address", Type: text}, {Name: "phone", Type: text, Default: "'none'::text"}, {Name: "email", Type: text}} {
		c.Num = int16(i + 1)
		if _, moves := def.SplitTable.Columns[c.Name]; moves {
			m.OldNums[c.Name], m.OldTypes[c.Name] = c.Num, c.Type
			if gone {
				continue
			}
			for _, name := range required {
				c.NotNull = name == c.Name && s.Phase < lens.SwitchReads
			}
			if s.Phase == lens.Complete {
				c.Default = ""
			}
		}
		r.Columns = append(r.Columns, c)
	}
	if s.Phase == lens.Pending {
		return r, m, nil
	}
	to := &catalog.Relation{OID: 1022, Schema: "public", Name: def.SplitTable.To.Name, Kind: catalog.Table}
	for _, p := range def.SplitTable.KeyPairs() {
		c := *r.Column(p.From)
		c.Name = p.To
		to.Columns, to.PrimaryKey = append(to.Columns, c), append(to.PrimaryKey, p.To)
	}
	for _, p := range def.SplitTable.ColumnPairs() {
		to.Columns = append(to.Columns, catalog.Column{Name: p.To, Type: text})
	}
	for i := range to.Columns {
		to.Columns[i].Num = int16(i + 1)
	}
	if !gone {
		m.Target = &lens.Target{OID: 1022, Foreign: def.SplitTable.Reference(def.Table), Required: required}
	}
	return r, m, []*catalog.Relation{to}
}
