SELECT {c}, {c} + 1::bigint, {c}::text FROM counters ORDER BY {c}, id

SELECT id FROM counters WHERE {c} > 5 ORDER BY {c} DESC, id

SELECT id FROM counters WHERE {c} IS NULL ORDER BY id

SELECT id FROM counters WHERE {c} IS NOT NULL ORDER BY {c} NULLS FIRST, id

SELECT id FROM counters WHERE {c} IS DISTINCT FROM 7 ORDER BY id

SELECT id FROM counters WHERE NOT ({c} = 7) ORDER BY id

SELECT id, {c} = 7, ({c} = 7) IS UNKNOWN FROM counters ORDER BY id

SELECT id FROM counters WHERE {c} = 3000000000

SELECT id FROM counters WHERE {c} = '3000000000'

SELECT id FROM counters WHERE {c} IN (1, 7, NULL) ORDER BY id

SELECT id FROM counters WHERE {c} NOT IN (1, 7) ORDER BY id

SELECT id FROM counters WHERE {c} NOT IN (SELECT p.id FROM people p) ORDER BY id

SELECT id FROM counters WHERE ({c}, id) >= (7, 1) ORDER BY id

SELECT sum({c}), avg({c}), max({c}), count({c}), count(*) FROM counters

SELECT {c}, count(*) FROM counters GROUP BY {c} ORDER BY {c}

SELECT {c} FROM counters GROUP BY {c} HAVING {c} > 1 ORDER BY 1

SELECT age, sum({c}) FROM counters GROUP BY age HAVING sum({c}) > 1 ORDER BY 1

SELECT COALESCE({c}, 0), COALESCE({c}, 3000000000), NULLIF({c}, 7) FROM counters ORDER BY id

SELECT {c}, id FROM counters UNION SELECT id, {c} FROM counters ORDER BY 1, 2

SELECT a.id, b.id FROM counters a JOIN counters b ON a.{c} = b.id ORDER BY 1, 2

SELECT a.id, b.id FROM counters a LEFT JOIN counters b ON a.{c} = b.{c} AND a.id <> b.id ORDER BY 1, 2

SELECT c.id FROM counters c JOIN people p ON p.id = c.{c} ORDER BY 1

SELECT lag({c}) OVER (ORDER BY id) FROM counters ORDER BY id

SELECT {c} FROM counters WHERE id = 2 FOR UPDATE

SELECT {c} + 2147483647 FROM counters WHERE id = 1

@star
SELECT * FROM counters ORDER BY id

@star
SELECT c.*, {c} FROM counters c WHERE {c} = 7 ORDER BY id

@params ["7"]
SELECT id FROM counters WHERE {c} = $1 ORDER BY id

@params ["3000000000"]
SELECT id FROM counters WHERE {c} = $1 ORDER BY id

@params ["3000000000"]
SELECT id FROM counters WHERE $1 < {c} ORDER BY id

@params ["7"]
@types int8
SELECT id FROM counters WHERE {c} = $1 ORDER BY id

@params ["7"]
@types int2
SELECT id FROM counters WHERE {c} = $1 ORDER BY id

@params ["7"]
@types text
SELECT id FROM counters WHERE {c} = $1 ORDER BY id

@params [null]
SELECT id FROM counters WHERE {c} IS NOT DISTINCT FROM $1 ORDER BY id

@params ["7"]
SELECT {c} + $1 FROM counters WHERE id = 1

@params ["7", "2"]
UPDATE counters SET {c} = $1 WHERE id = $2 RETURNING {c}

@params [null]
UPDATE counters SET {c} = $1 RETURNING id, {c}

@params ["7"]
@types int8
UPDATE counters SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7"]
@types int2
UPDATE counters SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7"]
UPDATE counters SET {c} = {c} - $1 WHERE id = 1 RETURNING {c}

@known the parameter is cast before its other use decides its type
@params ["7"]
UPDATE counters SET {c} = $1, age = $1 WHERE id = 1 RETURNING {c}

@params ["3000000000"]
@fails 22003 old code cannot hold it
UPDATE counters SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7", "8"]
INSERT INTO counters ({c}, age) VALUES ($1, $2), ($2, $1) RETURNING {c}, age

@params ["7"]
INSERT INTO counters ({c}) VALUES ($1 + 1) RETURNING {c}

@params ["7"]
DELETE FROM counters WHERE {c} = $1 RETURNING id, {c}

UPDATE counters SET {c} = 7 WHERE id = 2

UPDATE counters SET {c} = '7' WHERE id = 2 RETURNING {c}

UPDATE counters SET {c} = NULL WHERE id IN (1, 2) RETURNING {c}

UPDATE counters SET {c} = NULL

UPDATE counters SET {c} = DEFAULT WHERE id < 4 RETURNING {c}

UPDATE counters SET {c} = {c}

UPDATE counters SET {c} = {c} - 1 WHERE {c} > 5 RETURNING id, {c}

UPDATE counters SET {c} = -{c} WHERE id = 1 RETURNING {c}

@fails 22003 old code cannot hold it
UPDATE counters SET {c} = {c} + 1 RETURNING id, {c}

@fails 22003 old code cannot hold it
UPDATE counters SET {c} = 3000000000 WHERE id = 2 RETURNING {c}

@fails 22003 a constant that has no form is found out before there are rows
UPDATE counters SET {c} = 3000000000 WHERE false

UPDATE counters SET {c} = 7.5 WHERE id = 2 RETURNING {c}

UPDATE counters SET {c} = 7.5::float8 WHERE id = 2 RETURNING {c}

UPDATE counters SET {c} = '7.5' WHERE id = 2

UPDATE counters SET {c} = {c} / 2.0 WHERE id < 7 RETURNING {c}

UPDATE counters SET {c} = age, age = {c}::int WHERE id < 4 RETURNING {c}, age

@error any
UPDATE counters SET {c} = email

@error any
UPDATE counters SET {c} = true

UPDATE counters SET {c} = id RETURNING {c}

UPDATE counters SET ({c}, age) = (7, 8) WHERE id = 2 RETURNING {c}, age

UPDATE counters SET ({c}, age) = (SELECT 7, 8) WHERE id = 2 RETURNING {c}, age

UPDATE counters SET {c} = (SELECT max(p.id) FROM people p) WHERE id = 2 RETURNING {c}

UPDATE counters SET {c} = (SELECT count(*) FROM people p) WHERE id = 2 RETURNING {c}

UPDATE counters SET {c} = nextval('ticks') WHERE id < 3 RETURNING {c}

UPDATE counters c SET {c} = p.id FROM people p WHERE p.id = c.id RETURNING c.{c}

UPDATE counters SET age = 1 WHERE {c} IS NULL RETURNING id

UPDATE counters SET age = 1

INSERT INTO counters ({c}) VALUES (7), (NULL), (DEFAULT), ('8') RETURNING {c}

INSERT INTO counters (email) VALUES ('n@x') RETURNING id, {c}

INSERT INTO counters DEFAULT VALUES RETURNING {c}

INSERT INTO counters ({c}) VALUES (7), (8.6) RETURNING {c}

INSERT INTO counters ({c}) VALUES ('x')

@error any
INSERT INTO counters ({c}) VALUES ('7'::text)

@fails 22003 old code cannot hold it
INSERT INTO counters ({c}) VALUES (3000000000)

INSERT INTO counters ({c}) VALUES (nextval('ticks')), (NULL) RETURNING {c}

INSERT INTO counters (id, {c}) SELECT 200 + id, {c} FROM counters ORDER BY {c}, id RETURNING id, {c}

INSERT INTO counters (id, {c}) SELECT 200 + id, id FROM counters RETURNING id, {c}

INSERT INTO counters (id, {c}) SELECT id, {c} FROM counters ON CONFLICT (id) DO UPDATE SET {c} = COALESCE(EXCLUDED.{c}, 1) RETURNING id, {c}

INSERT INTO counters (id, {c}) VALUES (2, 5) ON CONFLICT (id) DO UPDATE SET {c} = COALESCE(counters.{c}, 0) + EXCLUDED.{c} RETURNING {c}

INSERT INTO counters (id, {c}) VALUES (2, 5) ON CONFLICT (id) DO UPDATE SET {c} = NULL WHERE counters.{c} IS NULL RETURNING {c}

INSERT INTO counters (id, {c}) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET age = EXCLUDED.{c} RETURNING {c}, age

DELETE FROM counters WHERE {c} = 7 RETURNING *, {c}

DELETE FROM counters WHERE {c} IS NULL RETURNING id

MERGE INTO counters c USING (VALUES (2, 5), (200, 6)) v (i, w) ON c.id = v.i WHEN MATCHED THEN UPDATE SET {c} = v.w + COALESCE(c.{c}, 1) WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (v.i, v.w)

@simple
COPY counters (id, {c}) TO STDOUT

UPDATE counters SET {c} = 7 WHERE id IN (2, 3)
---
SELECT {c}, count(*) FROM counters GROUP BY {c} ORDER BY 1
---
UPDATE counters SET age = 5 WHERE {c} = 7 RETURNING id
