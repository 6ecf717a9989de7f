SELECT id, {c} FROM tokens ORDER BY {c}, id

@origins any
SELECT {c}::text, {c}::uuid, {c}::text || 'x' FROM tokens ORDER BY id

SELECT id FROM tokens WHERE {c} = 'a0000000-0000-0000-0000-000000000003' ORDER BY id

SELECT id FROM tokens WHERE {c} > '50000000-0000-0000-0000-000000000005' ORDER BY {c}, id

SELECT id FROM tokens WHERE {c} IS NULL ORDER BY id

SELECT id, {c} = 'a0000000-0000-0000-0000-000000000003' FROM tokens ORDER BY id

SELECT id FROM tokens WHERE {c} IN ('a0000000-0000-0000-0000-000000000003', '40000000-0000-0000-0000-000000000004') ORDER BY id

SELECT id FROM tokens WHERE {c}::text LIKE 'a%' ORDER BY id

SELECT count({c}), count(DISTINCT {c}) FROM tokens

SELECT {c}, count(*) FROM tokens GROUP BY {c} ORDER BY {c}

SELECT a.id, b.id FROM tokens a JOIN tokens b ON a.{c} = b.{c} ORDER BY 1, 2

SELECT COALESCE({c}, '12345678-9abc-def0-1234-56789abcdef0') FROM tokens ORDER BY id

SELECT {c} FROM tokens WHERE id IN (1, 2) UNION SELECT '12345678-9abc-def0-1234-56789abcdef0' ORDER BY 1

@star
SELECT * FROM tokens ORDER BY id

@only old
SELECT id FROM tokens WHERE {c} = 'A0000000-0000-0000-0000-000000000003'

@only new
SELECT id FROM tokens WHERE {c} = 'A0000000-0000-0000-0000-000000000003' ORDER BY id

@only new
SELECT id FROM tokens WHERE {c} = 'x'

@only new
SELECT max({c}) FROM tokens

@only old
SELECT max({c}), upper({c}) FROM tokens GROUP BY {c} ORDER BY 1

@params ["a0000000-0000-0000-0000-000000000003"]
SELECT id FROM tokens WHERE {c} = $1 ORDER BY id

@params ["a0000000-0000-0000-0000-000000000003"]
@types text
SELECT id FROM tokens WHERE {c} = $1 ORDER BY id

@params ["a0000000-0000-0000-0000-000000000003"]
@types uuid
SELECT id FROM tokens WHERE {c} = $1 ORDER BY id

@params ["12345678-9abc-def0-1234-56789abcdef0"]
UPDATE tokens SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["12345678-9abc-def0-1234-56789abcdef0"]
@types uuid
UPDATE tokens SET {c} = $1 WHERE id = 2 RETURNING {c}

@error any
@params ["12345678-9abc-def0-1234-56789abcdef0"]
@types varchar
UPDATE tokens SET {c} = $1 WHERE id = 2 RETURNING {c}

@params [null]
UPDATE tokens SET {c} = $1 WHERE id = 3 RETURNING {c}

@params ["12345678-9abc-def0-1234-56789abcdef0", null]
INSERT INTO tokens ({c}, email) VALUES ($1, 'a'), ($2, 'b') RETURNING id, {c}

UPDATE tokens SET {c} = NULL

UPDATE tokens SET {c} = '12345678-9abc-def0-1234-56789abcdef0'

UPDATE tokens SET {c} = {c}

UPDATE tokens SET {c} = gen_random_uuid() WHERE false RETURNING {c}

@only old
UPDATE tokens SET {c} = gen_random_uuid()::text WHERE false RETURNING {c}

UPDATE tokens SET {c} = '12345678-9abc-def0-1234-56789abcdef0'::uuid WHERE id = 2 RETURNING {c}

@error any
UPDATE tokens SET {c} = '12345678-9abc-def0-1234-56789abcdef0'::text WHERE id = 2 RETURNING {c}

UPDATE tokens SET {c} = md5('x')::uuid WHERE id = 2 RETURNING {c}

@error any
@fails 22P02, 22000 it is no uuid
UPDATE tokens SET {c} = age WHERE id = 1

UPDATE tokens SET {c} = CASE WHEN age > 30 THEN {c} END RETURNING id, {c}

UPDATE tokens SET {c} = COALESCE({c}, '12345678-9abc-def0-1234-56789abcdef0') RETURNING id, {c}

UPDATE tokens SET ({c}, age) = ('12345678-9abc-def0-1234-56789abcdef0', 3) WHERE id = 2 RETURNING {c}, age

UPDATE tokens t SET {c} = s.{c} FROM tokens s WHERE s.id = t.id - 1 RETURNING t.id, t.{c}

UPDATE tokens SET {c} = (SELECT t.{c} FROM tokens t WHERE t.id = 1) WHERE id = 2 RETURNING {c}

INSERT INTO tokens (email) VALUES ('n') RETURNING {c}

INSERT INTO tokens ({c}) VALUES (NULL), ('12345678-9abc-def0-1234-56789abcdef0'), (DEFAULT) RETURNING {c}

INSERT INTO tokens (id, {c}) SELECT 200 + id, {c} FROM tokens

INSERT INTO tokens (id, {c}) SELECT 200 + id, {c} FROM tokens ORDER BY id RETURNING id, {c}

INSERT INTO tokens (id, {c}) VALUES (2, '12345678-9abc-def0-1234-56789abcdef0') ON CONFLICT (id) DO UPDATE SET {c} = COALESCE(tokens.{c}, EXCLUDED.{c}) RETURNING {c}

INSERT INTO tokens (id, {c}) VALUES (2, NULL), (3, NULL) ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING {c}

DELETE FROM tokens WHERE {c} = 'a0000000-0000-0000-0000-000000000003' RETURNING id, {c}

DELETE FROM tokens WHERE {c} IS NULL RETURNING id, {c}

MERGE INTO tokens t USING people p ON p.id = t.id WHEN MATCHED AND t.{c} IS NULL THEN UPDATE SET {c} = '12345678-9abc-def0-1234-56789abcdef0' WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (p.id, NULL)

@simple
COPY tokens ({c}) TO STDOUT

@only old
@fails 22000 capitals are lost in a uuid
@params ["A0000000-0000-0000-0000-000000000003"]
INSERT INTO tokens ({c}) VALUES ($1) RETURNING {c}

@fails 22P02 it is no uuid
@params ["x"]
INSERT INTO tokens ({c}) VALUES ($1) RETURNING {c}
