@@ What the catalogs say of the table's columns, but for defaults, which are told where a cast alone makes one side's of the other's, and in other words.

@origins any
@star
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment
  FROM pg_attribute a LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
 WHERE a.attrelid = '{t}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname

@origins any
@star
SELECT attname, attlen = typlen AND attbyval = typbyval AND attalign = typalign AND attcollation = typcollation AND attndims = 0 AND NOT attisdropped AND atthasdef = EXISTS (SELECT FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum) AS good FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = '{t}'::regclass AND attnum > 0 ORDER BY 1

@origins any
@star
@params ["{t}"]
SELECT column_name, is_nullable, data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, udt_schema, udt_name, domain_name, is_identity, is_generated, is_updatable FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public' ORDER BY 1

@origins any
@star
SELECT count(*), count(DISTINCT attnum), count(DISTINCT attname) FROM pg_attribute WHERE attrelid = '{t}'::regclass AND attnum > 0 AND NOT attisdropped

@origins any
@star
SELECT column_name, column_default IS NULL AS without FROM information_schema.columns WHERE table_name = '{t}' ORDER BY 1
