package oracle

import "segue/rewrite/lens"

// The variants that change more than a name. Each has a folder of cases, written for the types that its sides have.
var (
	// Price is a number in text that becomes one: the order of text is not that of numbers.
	Price = Variant{
		Name: "price", Table: "products", Folder: "price", Catalogs: true,
		Columns: [2][]Column{
			{{Name: "price", Type: "varchar(20)", NotNull: true, Default: "'0'"}},
			{{Name: "price_v2", Type: "bigint", NotNull: true, Default: "0"}},
		},
		Pattern: lens.Definition{ChangeType: &lens.ChangeType{
			Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar", NotNull: true,
		}},
		Seed: [][]string{
			{`'10'`}, {`'9'`}, {`'10'`}, {`'1000'`}, {`'-5'`}, {`'0'`}, {`'99999999999'`}, {`'42'`}, {`'100'`}, {`'7'`}, {`'2'`}, {`'1'`},
		},
	}
	// Named is the same, where new code calls the new column by the old name.
	Named = named(Price)
	// Counter is an integer that becomes a larger one, and may be NULL.
	Counter = Variant{
		Name: "counter", Table: "counters", Folder: "counter", Catalogs: true,
		Columns: [2][]Column{{{Name: "n", Type: "integer"}}, {{Name: "big", Type: "bigint"}}},
		Pattern: lens.Definition{ChangeType: &lens.ChangeType{Column: "n", To: "big", Type: "bigint", Up: "n::bigint", Down: "big::integer"}},
		Seed: [][]string{
			{`1`}, {`NULL`}, {`2147483647`}, {`-2147483648`}, {`0`}, {`7`}, {`7`}, {`NULL`}, {`10`}, {`9`}, {`100`}, {`-1`},
		},
	}
	// Token is text that becomes a uuid, with NULLs.
	Token = Variant{
		Name: "token", Table: "tokens", Folder: "token", Catalogs: true,
		Columns: [2][]Column{{{Name: "token", Type: "text"}}, {{Name: "token_id", Type: "uuid"}}},
		Pattern: lens.Definition{ChangeType: &lens.ChangeType{Column: "token", To: "token_id", Type: "uuid", Up: "token::uuid", Down: "token_id::text"}},
		Seed: [][]string{
			{`'00000000-0000-0000-0000-000000000001'`},
			{`NULL`},
			{`'a0000000-0000-0000-0000-000000000003'`},
			{`'40000000-0000-0000-0000-000000000004'`},
			{`'50000000-0000-0000-0000-000000000005'`},
			{`'a0000000-0000-0000-0000-000000000003'`},
			{`NULL`},
			{`'80000000-0000-0000-0000-000000000008'`},
			{`'90000000-0000-0000-0000-000000000009'`},
			{`'10000000-0000-0000-0000-000000000010'`},
			{`'f0000000-0000-0000-0000-00000000000f'`},
			{`'c0000000-0000-0000-0000-000000000012'`},
		},
	}
	// Amount is a sum with a scale that becomes a whole number of cents.
	Amount = Variant{
		Name: "amount", Table: "bills", Folder: "amount", Catalogs: true,
		Columns: [2][]Column{
			{{Name: "amount", Type: "numeric(10,2)", NotNull: true, Default: "0"}},
			{{Name: "cents", Type: "bigint", NotNull: true, Default: "0"}},
		},
		Pattern: lens.Definition{ChangeType: &lens.ChangeType{
			Column: "amount", To: "cents", Type: "bigint", Up: "(amount * 100)::bigint", Down: "(cents / 100.0)::numeric(10,2)", NotNull: true,
		}},
		Seed: [][]string{
			{`1`}, {`0.5`}, {`12.34`}, {`-7.01`}, {`0`}, {`99999999.99`}, {`10`}, {`9.99`}, {`1`}, {`2.50`}, {`100`}, {`3.3`},
		},
	}
	// Persons merges two columns into one.
	Persons = Variant{
		Name: "persons", Table: "persons", Folder: "persons", Catalogs: true,
		Columns: [2][]Column{
			{{Name: "first_name", Type: "text", NotNull: true, Default: "'No'"}, {Name: "last_name", Type: "text", NotNull: true, Default: "'Name'"}},
			{{Name: "full_name", Type: "text", NotNull: true, Default: "'No Name'"}},
		},
		Pattern: lens.Definition{Columns: &lens.Columns{
			Drop: []string{"first_name", "last_name"},
			Add:  []lens.AddColumn{{Name: "full_name", Type: "text", Up: "first_name || ' ' || last_name", NotNull: true}},
			Down: map[string]string{"first_name": "split_part(full_name, ' ', 1)", "last_name": "substr(full_name, strpos(full_name, ' ') + 1)"},
		}},
		Seed: [][]string{
			{`'Ann'`, `'Lee'`},
			{`'Bob'`, `'Ray'`},
			{`'Ann'`, `'Ray'`},
			{`'Sean'`, `'O''Brien'`},
			{`''`, `'Solo'`},
			{`'Cher'`, `''`},
			{`'Zoë'`, `'Çelik'`},
			{`'Al'`, `'Lee'`},
			{`'ann'`, `'lee'`},
			{`'first_name'`, `'last_name'`},
			{`'42'`, `'43'`},
			{`'Carl'`, `'Ann'`},
		},
	}
	// Address splits a column into two; a text without a comma does not come back as it was.
	Address = Variant{
		Name: "address", Table: "addresses", Folder: "address", Catalogs: true,
		Columns: [2][]Column{
			{{Name: "full_address", Type: "text"}},
			{{Name: "street", Type: "text"}, {Name: "town", Type: "text"}},
		},
		Pattern: lens.Definition{
			Columns: &lens.Columns{
				Drop: []string{"full_address"},
				Add: []lens.AddColumn{
					{Name: "street", Type: "text", Up: "split_part(full_address, ', ', 1)"}, {Name: "town", Type: "text", Up: "split_part(full_address, ', ', 2)"},
				},
				Down: map[string]string{"full_address": "street || ', ' || town"},
			},
			Allow: []string{"lossy"},
		},
		Seed: [][]string{
			{`'1 High St, Ely'`},
			{`'2 Low Rd, Rye'`},
			{`'1 High St, Rye'`},
			{`NULL`},
			{`'5 Lane, '`},
			{`', Ely'`},
			{`'Straße 7, Köln'`},
			{`'8 Way, Ely'`},
			{`'9 Way, Ayr'`},
			{`NULL`},
			{`'11 Row, Rye'`},
			{`'12 Row, Ayr'`},
		},
	}
	// Tight is a column whose NULLs become a value, and that new code calls by the old name.
	Tight = Variant{
		Name: "tight", Table: "mails", Folder: "tight", Catalogs: true,
		Columns: [2][]Column{{{Name: "mail", Type: "text"}}, {{Name: "mail_v2", As: "mail", Type: "text", NotNull: true, Default: "''"}}},
		Pattern: lens.Definition{Columns: &lens.Columns{
			Drop: []string{"mail"},
			Add:  []lens.AddColumn{{Name: "mail_v2", Type: "text", Up: "COALESCE(mail, '')", NotNull: true, Default: "''", AppName: "mail"}},
			Down: map[string]string{"mail": "NULLIF(mail_v2, '')"},
		}},
		Seed: [][]string{
			{`'a@x'`}, {`'b@x'`}, {`NULL`}, {`'B@x'`}, {`'b@x'`}, {`'Zoë@x'`}, {`' '`}, {`NULL`}, {`'9'`}, {`'10'`}, {`'mail'`}, {`'c@y'`},
		},
	}
	// Login is a UNIQUE column that gets another name, and Issued one that gets another type.
	Login  = unique(rename("login", "logins", "login", "user_name", false))
	Issued = unique(Variant{
		Name: "code", Table: "codes",
		Columns: [2][]Column{{{Name: "code", Type: "varchar(20)"}}, {{Name: "code_v2", Type: "bigint"}}},
		Pattern: lens.Definition{ChangeType: &lens.ChangeType{Column: "code", To: "code_v2", Type: "bigint", Up: "code::bigint", Down: "code_v2::varchar"}},
	})
	// Members merges two columns that are UNIQUE together.
	Members = members(Persons)
)

// Changes are all of them.
var Changes = []*Variant{&Price, &Named, &Counter, &Token, &Amount, &Persons, &Address, &Tight, &Login, &Issued, &Members}

func members(v Variant) Variant {
	v.Name, v.Table, v.Folder, v.Unique = "members", "members", "members", true
	return v
}

func unique(v Variant) Variant {
	v.Folder, v.Unique = "unique", true
	v.Seed = [][]string{{`'10'`}, {`'9'`}, {`NULL`}, {`'1000'`}, {`'-5'`}, {`'0'`}, {`'99999999999'`}, {`NULL`}, {`'100'`}, {`'7'`}, {`'2'`}, {`'1'`}}
	return v
}

func named(v Variant) Variant {
	v.Name = "named"
	change := *v.Pattern.ChangeType
	change.AppName = change.Column
	v.Pattern.ChangeType = &change
	v.Columns[NewSide] = []Column{v.Columns[NewSide][0]}
	v.Columns[NewSide][0].As = change.AppName
	return v
}
