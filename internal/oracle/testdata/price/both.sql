@@ Texts that mean something for either type, in either schema.

SELECT {c} FROM products ORDER BY {c}, id

SELECT {c} FROM products ORDER BY {c} DESC, id LIMIT 4

SELECT {q} FROM products ORDER BY 1

SELECT id FROM products ORDER BY {c}, id

SELECT {c} AS x, {c} AS {other} FROM products ORDER BY id

SELECT p.{c}, products.id FROM products JOIN products p USING (id) ORDER BY p.{c}, p.id

SELECT DISTINCT {c} FROM products ORDER BY {c}

SELECT {c}, count(*) FROM products GROUP BY {c} ORDER BY {c}

SELECT {c}, count(*) FROM products GROUP BY 1 HAVING count(*) > 1

SELECT max({c}), min({c}), count({c}), count(DISTINCT {c}) FROM products

SELECT id FROM products WHERE {c} = '10' ORDER BY id

SELECT id FROM products WHERE {c} <> '10' ORDER BY id

SELECT id FROM products WHERE {c} < '5' ORDER BY id

SELECT id FROM products WHERE {c} >= '10' ORDER BY id

SELECT id FROM products WHERE '10' < {c} ORDER BY id

SELECT id FROM products WHERE {c} IN ('10', '42', '3') ORDER BY id

SELECT id FROM products WHERE {c} NOT IN ('10', '42') ORDER BY id

SELECT id FROM products WHERE NOT {c} = '10' ORDER BY id

SELECT id FROM products WHERE {c} BETWEEN '1' AND '5' ORDER BY id

SELECT id FROM products WHERE {c} IS NULL

SELECT id FROM products WHERE {c} IS DISTINCT FROM '10' ORDER BY id

SELECT id, {c} = '10', ({c} = '10') IS NOT TRUE FROM products ORDER BY id

SELECT id FROM products WHERE {c} = ANY ('{10,42}') ORDER BY id

SELECT id FROM products WHERE ({c}, id) > ('10', 1) ORDER BY {c}, id

@origins any
SELECT {c}::text, {c}::varchar(3), {c}::bigint, CAST({c} AS numeric) FROM products ORDER BY id

SELECT {c}::text || 'x' FROM products ORDER BY id

SELECT {c} || 'x' FROM products ORDER BY id

SELECT concat({c}, ',', age) FROM products ORDER BY id

SELECT COALESCE({c}, '7'), NULLIF({c}, '10') FROM products ORDER BY id

SELECT CASE WHEN {c} = '10' THEN 'ten' ELSE {c}::text END FROM products ORDER BY id

SELECT greatest({c}, '50') FROM products ORDER BY id

SELECT pg_typeof({c}) FROM products WHERE id = 1

SELECT row_number() OVER (ORDER BY {c}, id), {c} FROM products ORDER BY 1

SELECT string_agg({c}::text, ',' ORDER BY {c}, id) FROM products

SELECT array_agg({c} ORDER BY id) FROM products

SELECT DISTINCT ON ({c}) {c}, id FROM products ORDER BY {c}, id DESC

SELECT {c} FROM products UNION SELECT {c} FROM products ORDER BY 1

SELECT {c}::text FROM products WHERE id < 3 UNION ALL SELECT full_name FROM people ORDER BY 1

SELECT a.id, b.id FROM products a JOIN products b ON a.{c} = b.{c} AND a.id < b.id

SELECT a.id FROM products a LEFT JOIN products b ON b.{c} = a.{c} AND b.id > a.id WHERE b.{c} IS NULL ORDER BY a.id

SELECT id FROM products WHERE {c} = (SELECT max({c}) FROM products)

SELECT id FROM products p WHERE EXISTS (SELECT 1 FROM products q WHERE q.{c} = p.{c} AND q.id <> p.id) ORDER BY id

SELECT o.id, p.{c} FROM orders o LEFT JOIN products p ON p.id = o.user_id ORDER BY o.id

WITH q AS (SELECT {c}, id FROM products WHERE id < 5) SELECT q.{c}, q.id FROM q ORDER BY q.{c}, q.id

SELECT x.{c} FROM (SELECT {c} FROM products) x ORDER BY 1

SELECT x.v FROM products, LATERAL (SELECT products.{c} AS v) x ORDER BY 1

SELECT {c} FROM products WHERE id = 1 FOR UPDATE

SELECT {c} FROM products GROUP BY id ORDER BY id

SELECT {c}, age, count(*) FROM products GROUP BY ROLLUP ({c}, age) ORDER BY 1, 2, 3

@star
SELECT * FROM products ORDER BY id

@star
SELECT p.*, o.id FROM products p JOIN orders o ON o.user_id = p.id ORDER BY o.id

@star
SELECT row_to_json(p) FROM products p ORDER BY id

@star
SELECT * FROM products WHERE {c} = '10' ORDER BY id

@star
TABLE products

SELECT {c}, nosuch FROM products

SELECT {c} FROM products WHERE {c} = 'abc'

SELECT sum({c}::bigint) FROM products WHERE age > 20

@@ Parameters.

@params ["10"]
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params ["10"]
@types text
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params ["10"]
@types varchar
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params ["10"]
@types int8
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params ["10"]
@types int4
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params ["10"]
@types numeric
SELECT id FROM products WHERE {c} = $1 ORDER BY id

@params [null]
SELECT id FROM products WHERE {c} = $1 OR $1 IS NULL ORDER BY id

@params ["{10,42}"]
SELECT id FROM products WHERE {c} = ANY ($1) ORDER BY id

@params ["{10,42}"]
@types int8[]
SELECT id FROM products WHERE {c} = ANY ($1) ORDER BY id

@params ["5"]
SELECT id FROM products WHERE {c} > $1 ORDER BY id

@params ["10", "11"]
SELECT id FROM products WHERE {c} IN ($1, $2) ORDER BY id

@params ["5", "3"]
UPDATE products SET {c} = $1 WHERE id = $2

@params ["5", "2"]
UPDATE products SET {c} = $1 WHERE id = $2 RETURNING id, {c}

@error any
@params ["5"]
@types varchar
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@error any
@params ["5"]
@types text
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5"]
@types int8
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5"]
@types int4
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5"]
@types numeric
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5.7"]
@types numeric
@fails 22P02, 22000 old code's 5.7 is no bigint
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params [null]
UPDATE products SET {c} = $1 WHERE id = 2

@params ["5", "6"]
INSERT INTO products ({c}, age) VALUES ($1, $2) RETURNING id, {c}, age

@known the parameter is cast before its other use decides its type
@params ["5"]
INSERT INTO products ({c}, email) VALUES ($1, $1)

@error any
@params ["5"]
INSERT INTO products (email, {c}) VALUES ($1, $1)

@error any
@params ["5"]
INSERT INTO products (age, {c}) VALUES ($1, $1)

@known the parameter is cast before its other use decides its type
@params ["5"]
UPDATE products SET {c} = $1, age = $1 WHERE id = 2

@params ["5"]
UPDATE products SET {c} = $1 WHERE {c} = $1

@params ["10"]
UPDATE products SET {c} = $1 WHERE {c} = $1

@params ["5"]
UPDATE products SET {c} = COALESCE($1, {c}) WHERE id < 4 RETURNING id, {c}

@params ["abc"]
@fails 22P02, 22000 old code's abc is no bigint
UPDATE products SET {c} = $1 WHERE id = 2

@params ["10"]
DELETE FROM products WHERE {c} = $1 RETURNING id, {c}

@@ Writes.

INSERT INTO products ({c}) VALUES ('5')

INSERT INTO products ({c}) VALUES ('5'), ('6'), (DEFAULT) RETURNING id, {c}

INSERT INTO products ({c}, email) VALUES (5, 'n@x') RETURNING *, {c}

INSERT INTO products (email) VALUES ('n@x') RETURNING id, {c}

INSERT INTO products DEFAULT VALUES RETURNING id, {c}, email

INSERT INTO products ({c}) VALUES (NULL)

INSERT INTO products ({c}, email) VALUES (DEFAULT, 'n@x')

INSERT INTO products ({c}, {c}) VALUES (1, 2)

INSERT INTO products AS p ({c}, email) VALUES ('5', 'ann@x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c}, age = p.age + 1 RETURNING p.id, p.{c}

INSERT INTO products (id, {c}) VALUES (2, '5'), (200, '6') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} WHERE products.{c} <> EXCLUDED.{c} RETURNING id, {c}

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT DO NOTHING RETURNING id

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET {c} = DEFAULT RETURNING {c}

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET age = 1 WHERE products.{c} = '9' RETURNING {c}, age

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET ({c}, age) = (EXCLUDED.{c}, 9) RETURNING {c}, age

INSERT INTO products (id, {c}) SELECT 200 + id, {c} FROM products WHERE id < 4

INSERT INTO products (id, {c}) SELECT 200 + id, '5' FROM products WHERE id < 4

INSERT INTO products ({c}, id, email) SELECT {c}, 200 + id, 'n' || id FROM products WHERE id < 4 ORDER BY {c}, id RETURNING id, {c}, email

INSERT INTO products (id, {c}) SELECT 200 + id, age FROM products WHERE id < 4 RETURNING {c}

@error any
INSERT INTO products (id, {c}) SELECT 200, '5' UNION SELECT 201, '6'

INSERT INTO products (id, {c}) SELECT DISTINCT 200 + age, {c} FROM products WHERE id < 4

INSERT INTO products (id, {c}) SELECT 200 + min(id), max({c}) FROM products GROUP BY age

@star
INSERT INTO products SELECT * FROM products WHERE false

@error any
@fails 22P02 a name is no number
INSERT INTO products (id, {c}) TABLE people

INSERT INTO products (id, {c}) VALUES (200, (SELECT max({c}) FROM products)) RETURNING {c}

INSERT INTO products (id, {c}) SELECT 200 + id, nextval('ticks') FROM products WHERE id < 4 ORDER BY id RETURNING {c}

INSERT INTO products (id, {c}) VALUES (200, nextval('ticks')), (201, 7), (202, DEFAULT) RETURNING id, {c}

@star
INSERT INTO products OVERRIDING USER VALUE SELECT 1 WHERE false

UPDATE products SET {c} = '5'

UPDATE products SET {c} = '5' WHERE id = 2

UPDATE products SET {c} = 5 WHERE id = 2 RETURNING id, {c}

UPDATE products SET {c} = 5::int WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 5::bigint WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 5::smallint WHERE id = 2 RETURNING {c}

@fails 22P02 old code's 5.0 is no bigint
UPDATE products SET {c} = 5.0 WHERE id = 2

UPDATE products SET {c} = {c} WHERE id = 2

UPDATE products SET {c} = {c}

UPDATE products SET {c} = '5' WHERE {c} = '9' RETURNING {c}

UPDATE products SET {c} = id WHERE id < 5 RETURNING {c}

UPDATE products SET {c} = age WHERE age IS NOT NULL

UPDATE products SET {c} = age

UPDATE products SET age = {c}::int WHERE id = 2

UPDATE products SET age = {c}::int, {c} = age WHERE id = 2 RETURNING {c}, age

UPDATE products SET {c} = DEFAULT WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = NULL WHERE id = 2

UPDATE products SET ({c}, age) = ('5', 6) WHERE id = 2 RETURNING {c}, age

UPDATE products SET (age, {c}) = (6, DEFAULT) WHERE id = 2 RETURNING {c}, age

@error any
UPDATE products SET ({c}, age) = (SELECT '5', 6) WHERE id = 2 RETURNING {c}, age

UPDATE products SET ({c}, age) = (SELECT {c}, 6 FROM products p WHERE p.id = 1) WHERE id = 2 RETURNING {c}, age

UPDATE products SET {c} = (SELECT max(p.{c}) FROM products p) WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = nextval('ticks') WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = CASE WHEN age > 30 THEN {c} ELSE '3' END RETURNING id, {c}

UPDATE products SET {c} = COALESCE({c}, '5') WHERE id < 3 RETURNING {c}

@error any
UPDATE products SET {c} = COALESCE(NULL, '5') WHERE id < 3 RETURNING {c}

UPDATE products SET {c} = greatest({c}, '50') RETURNING id, {c}

UPDATE products p SET {c} = o.id FROM orders o WHERE o.user_id = p.id AND o.id > 2 RETURNING p.id, p.{c}, o.id

UPDATE products p SET {c} = q.{c} FROM products q WHERE q.id = p.id + 1 RETURNING p.id, p.{c}, q.{c}

UPDATE products SET {c} = '5', {c} = '6'

@fails 22P02 a constant that has no form is found out before there are rows
UPDATE products SET {c} = 'abc' WHERE false

@fails 22P02, 22000 old code's abc is no bigint
UPDATE products SET {c} = 'abc' WHERE id = 2

@error any
@fails 22P02, 22000 old code's text is no number
UPDATE products SET {c} = true WHERE id = 2

@error any
UPDATE products SET {c} = now() WHERE id = 2

@error any
@fails 22P02, 22000 old code's text is no number
UPDATE products SET {c} = ARRAY[1] WHERE id = 2

UPDATE products SET age = age + 1 WHERE {c} = '9' RETURNING *, {c}

UPDATE products SET age = 3 WHERE id IN (2, 4)

DELETE FROM products WHERE {c} = '10' RETURNING id, {c}

DELETE FROM products p USING orders o WHERE o.user_id = p.id AND p.{c} = '9' RETURNING p.id, p.{c}

DELETE FROM products p USING products q WHERE p.{c} = q.{c} AND p.id > q.id RETURNING p.{c}, q.{c}

MERGE INTO products p USING orders o ON o.user_id = p.id AND o.id < 4 AND o.id > 2 WHEN MATCHED AND p.{c} = '9' THEN UPDATE SET {c} = '5'

MERGE INTO products p USING (VALUES (2, '5'), (200, '6')) v (i, w) ON p.id = v.i WHEN MATCHED THEN UPDATE SET {c} = '77' WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (v.i, DEFAULT)

MERGE INTO products p USING (VALUES (1), (2)) v (i) ON p.id = v.i WHEN MATCHED AND p.{c} = '10' THEN DELETE WHEN MATCHED THEN DO NOTHING

WITH u AS (UPDATE products SET {c} = '5' WHERE id < 3 RETURNING id, {c}) SELECT u.{c}, u.id FROM u ORDER BY u.id

WITH d AS (DELETE FROM products WHERE id = 2 RETURNING {c}) INSERT INTO products (id, {c}) SELECT 200, {c} FROM d RETURNING {c}

WITH d AS (SELECT {c} AS v FROM products WHERE id = 2) UPDATE products SET {c} = d.v FROM d WHERE id = 1 RETURNING {c}

@@ Several texts.

UPDATE products SET {c} = '5' WHERE id = 2
---
SELECT {c} FROM products WHERE id = 2
---
UPDATE products SET age = 1 WHERE id = 2
---
SELECT {c}, age FROM products WHERE {c} = '5'

@commit
UPDATE products SET {c} = '5' WHERE id IN (1, 2) RETURNING {c}

@commit
INSERT INTO products ({c}) VALUES ('5'), (DEFAULT)

PREPARE p AS SELECT id FROM products WHERE {c} = $1 ORDER BY id
---
EXECUTE p ('10')

PREPARE p (text, bigint) AS UPDATE products SET {c} = 5, email = $1 WHERE id = $2
---
EXECUTE p ('x', 2)

@origins any
DECLARE c CURSOR FOR SELECT {c} FROM products ORDER BY {c}, id
---
FETCH 3 FROM c

DECLARE c CURSOR FOR SELECT id FROM products WHERE id = 2 FOR UPDATE
---
FETCH c
---
UPDATE products SET {c} = '5' WHERE CURRENT OF c RETURNING {c}

@simple
COPY products ({c}, id) TO STDOUT

@simple
@star
COPY products TO STDOUT (FORMAT csv, HEADER)

@simple
COPY (SELECT {c} FROM products ORDER BY {c}, id) TO STDOUT

@origins any
CREATE TEMP TABLE copied AS SELECT {c} FROM products WHERE id < 4
---
SELECT * FROM copied ORDER BY 1

EXPLAIN (COSTS off) SELECT id FROM products WHERE id = 2

@refused
ALTER TABLE products ALTER {c} SET DEFAULT '7'

@@ What gives several rows cannot stand in a form.

@params ["{55,66}"]
INSERT INTO products ({c}) SELECT unnest($1::varchar[])::bigint RETURNING {c}

INSERT INTO products ({c}, age) SELECT generate_series(1, 3), generate_series(5, 7) RETURNING age, {c}
