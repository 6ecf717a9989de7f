@params ["Ann"]
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params [null]
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["1", "Ann"]
SELECT {c} FROM users WHERE id = $1 AND {c} = $2

@params ["Ann"]
SELECT id FROM users WHERE $1 = {c} ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} = $1 OR email = $1 ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} = $1 OR {c} = upper($1) ORDER BY id

@params ["Ann"]
@types text
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["Ann"]
@types varchar
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["Ann"]
@types unknown
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["Ann"]
@types bpchar
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["Ann"]
@types name
SELECT id FROM users WHERE {c} = $1 ORDER BY id

@params ["1"]
@types int4
SELECT id, {c} FROM users WHERE id = $1

@params ["1"]
@types int4
SELECT id FROM users WHERE {c} = $1

@params ["A%"]
SELECT id FROM users WHERE {c} LIKE $1 ORDER BY id

@params ["^A"]
SELECT id FROM users WHERE {c} ~ $1 ORDER BY id

@params ["Ann", "Bob"]
SELECT id FROM users WHERE {c} IN ($1, $2) ORDER BY id

@params ["Ann", "Bob"]
SELECT id FROM users WHERE {c} NOT IN ($1, $2) ORDER BY id

@params ["A", "B"]
SELECT id FROM users WHERE {c} BETWEEN $1 AND $2 ORDER BY id

@params ["{Ann,Bob}"]
SELECT id FROM users WHERE {c} = ANY ($1) ORDER BY id

@params ["{Ann,Bob}"]
SELECT id FROM users WHERE {c} = ANY ($1::text[]) ORDER BY id

@params ["{Ann,Bob}"]
SELECT id FROM users WHERE {c} <> ALL ($1) ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} IS NOT DISTINCT FROM $1 ORDER BY id

@params [null]
SELECT id FROM users WHERE {c} IS NOT DISTINCT FROM $1 ORDER BY id

@params ["Ann", "1"]
SELECT id FROM users WHERE ({c}, id) = ($1, $2) ORDER BY id

@params ["Ann", "1"]
SELECT id FROM users WHERE ({c}, id) > ($1, $2) ORDER BY {c}, id

@params ["x"]
SELECT {c} || $1 FROM users ORDER BY id

@params ["x"]
SELECT COALESCE({c}, $1) FROM users ORDER BY id

@params ["x"]
SELECT $1, {c} FROM users ORDER BY id

@params ["x"]
SELECT $1::text AS x, {c} FROM users ORDER BY id

@params ["x", "Ann"]
SELECT CASE WHEN {c} = $2 THEN $1 ELSE {c} END FROM users ORDER BY id

@params ["2", "1"]
SELECT {c} FROM users ORDER BY {c}, id LIMIT $1 OFFSET $2

@params ["Ann", "Ann"]
SELECT count(*) FROM users u JOIN orders o ON u.{c} = $1 AND o.name = $2

@params ["Ann"]
SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM users v WHERE v.{c} = $1 AND v.id = u.id) ORDER BY id

@params ["Ann"]
@star
SELECT * FROM users WHERE {c} = $1 ORDER BY id

@params ["Ann", null]
SELECT id FROM users WHERE ({c} = $1 OR $1 IS NULL) AND (email = $2 OR $2 IS NULL) ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE lower({c}) = lower($1) ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} = $1::text ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} = CAST($1 AS varchar) ORDER BY id

@params ["Ann"]
SELECT id FROM users WHERE {c} = $1 || '' ORDER BY id

@@ Writes.

@params ["x"]
INSERT INTO users ({c}) VALUES ($1)

@params ["x"]
INSERT INTO users ({c}) VALUES ($1) RETURNING id, {c}

@params ["x", "y@x", "4"]
INSERT INTO users ({c}, email, age) VALUES ($1, $2, $3) RETURNING id

@params ["y@x", "x"]
INSERT INTO users (email, {c}) VALUES ($1, $2)

@params ["x", "y"]
INSERT INTO users ({c}) VALUES ($1), ($2) RETURNING {c}

@params ["x", "y"]
INSERT INTO users ({c}, email) VALUES ($1, $2), ('lit', $1), (DEFAULT, 'e') RETURNING {c}, email

@params ["x"]
INSERT INTO users ({c}, email) VALUES ($1, $1) RETURNING {c}, email

@params ["x"]
INSERT INTO users (email, {c}) VALUES ($1, $1) RETURNING {c}, email

@params ["x"]
@types text
INSERT INTO users ({c}) VALUES ($1) RETURNING {c}

@params ["x"]
@types varchar
INSERT INTO users ({c}) VALUES ($1) RETURNING {c}

@params ["5"]
@types int4
INSERT INTO users ({c}) VALUES ($1) RETURNING {c}

@params ["5"]
@types int4
INSERT INTO users ({c}, age) VALUES ($1, $1) RETURNING {c}, age

@params ["5"]
INSERT INTO users ({c}, age) VALUES ($1, $1) RETURNING {c}, age

@params ["5"]
INSERT INTO users ({c}, age) VALUES ($1::text, $1::int) RETURNING {c}, age

@params ["x"]
INSERT INTO users ({c}) VALUES ($1::text) RETURNING {c}

@params ["x"]
INSERT INTO users ({c}) VALUES (upper($1)) RETURNING {c}

@params ["x"]
INSERT INTO users ({c}) VALUES ($1 || '!') RETURNING {c}

@params ["x"]
INSERT INTO users ({c}) VALUES (($1)) RETURNING {c}

@params ["x"]
INSERT INTO users ({c}) VALUES (COALESCE($1, 'none')) RETURNING {c}

@params [null]
INSERT INTO users ({c}) VALUES ($1) RETURNING {c}

@params ["12345678901234567890123456789012345678901"]
INSERT INTO users ({c}) VALUES ($1)

@params ["1234567890123456789012345678901234567890   "]
INSERT INTO users ({c}) VALUES ($1) RETURNING length({c})

@params ["x", "2"]
UPDATE users SET {c} = $1 WHERE id = $2

@params ["x", "2"]
UPDATE users SET {c} = $1 WHERE id = $2 RETURNING {c}

@params ["2", "x"]
UPDATE users SET {c} = $2 WHERE id = $1

@params ["x", "Bob"]
UPDATE users SET {c} = $1 WHERE {c} = $2 RETURNING id, {c}

@params ["x"]
UPDATE users SET {c} = $1 WHERE {c} <> $1

@params ["x"]
UPDATE users SET {c} = $1, email = $1 WHERE id = 2

@params ["x"]
UPDATE users SET email = $1, {c} = $1 WHERE id = 2

@params ["x"]
@types text
UPDATE users SET {c} = $1 WHERE id = 2

@params ["5"]
@types int4
UPDATE users SET {c} = $1, age = $1 WHERE id = 2

@params ["5"]
UPDATE users SET {c} = $1, age = $1 WHERE id = 2

@params ["x"]
UPDATE users SET {c} = {c} || $1 WHERE id < 3 RETURNING {c}

@params ["x"]
UPDATE users SET {c} = COALESCE($1, {c}) WHERE id = 2 RETURNING {c}

@params [null]
UPDATE users SET {c} = COALESCE($1, {c}) WHERE id = 2 RETURNING {c}

@params [null]
UPDATE users SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["x", "7"]
UPDATE users SET ({c}, age) = ($1, $2) WHERE id = 2 RETURNING {c}, age

@params ["12345678901234567890123456789012345678901"]
UPDATE users SET {c} = $1 WHERE id = 2

@params ["12345678901234567890123456789012345678901"]
UPDATE users SET {c} = $1 WHERE false

@params ["Ann"]
DELETE FROM users WHERE {c} = $1 RETURNING {c}

@params ["bob@x", "x"]
INSERT INTO users (email, {c}) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING id, {c}

@params ["bob@x", "x", "z"]
INSERT INTO users (email, {c}) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET {c} = $3 RETURNING id, {c}

@params ["bob@x", "x"]
INSERT INTO users (email, {c}) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET {c} = $2 || users.{c} WHERE users.{c} <> $2 RETURNING id, {c}

@params ["200", "x", "y@x"]
@only old
INSERT INTO users VALUES ($1, $2, $3)

@params ["200", "y@x", "5"]
@only new
@star
INSERT INTO users VALUES ($1, $2, $3) RETURNING {c}
