@@ The column is a number.

SELECT {c} + 1, {c} * 2, -{c}, {c} / 3, {c} % 3, abs({c}) FROM products ORDER BY id

SELECT {c} FROM products WHERE {c} > 5 ORDER BY {c} DESC, id

SELECT {c} FROM products WHERE {c} BETWEEN 1 AND 10 ORDER BY {c}, id

SELECT id FROM products WHERE {c} = 10 ORDER BY id

SELECT id FROM products WHERE {c} = 10.0 ORDER BY id

SELECT id FROM products WHERE {c} = '010' ORDER BY id

SELECT id FROM products WHERE {c} = ' 10 ' ORDER BY id

SELECT id FROM products WHERE {c} = '99999999999999999999'

SELECT id FROM products WHERE {c} IN (1, 2, 3) ORDER BY id

SELECT id FROM products WHERE {c} = ANY (ARRAY[10, 42]) ORDER BY id

SELECT id FROM products WHERE {c} LIKE '1%'

SELECT id FROM products WHERE {c}::text LIKE '1%' ORDER BY id

SELECT sum({c}), avg({c}), max({c}) FROM products

SELECT sum({c}) FILTER (WHERE {c} > 5) FROM products

SELECT age, sum({c}) FROM products GROUP BY age HAVING sum({c}) > 5 ORDER BY age

SELECT sum({c}) OVER (ORDER BY id) FROM products ORDER BY id

SELECT p.id, q.id FROM products p JOIN people q ON q.id = p.{c} ORDER BY 1, 2

SELECT id, {c}::int FROM products ORDER BY id

SELECT id, {c}::int FROM products WHERE {c} < 1000000 ORDER BY id

SELECT generate_series(1, {c}) FROM products WHERE {c} = 2

SELECT id FROM products LIMIT (SELECT max({c}) FROM products WHERE {c} < 5)

SELECT {c} || '' FROM products ORDER BY id

SELECT round({c} / 3.0, 2) FROM products ORDER BY id

SELECT 100 / {c} FROM products WHERE {c} = 0

@params ["5"]
SELECT {c} + $1 FROM products ORDER BY id

@params ["5"]
SELECT id FROM products WHERE {c} > $1 + 1 ORDER BY id

@params ["5"]
SELECT id FROM products WHERE $1 < {c} ORDER BY id

@params ["5.5"]
@types numeric
SELECT id FROM products WHERE {c} > $1 ORDER BY id

@params ["5.5"]
@types float8
SELECT id FROM products WHERE {c} > $1 ORDER BY id

@params ["5"]
@types int2
SELECT id FROM products WHERE {c} > $1 ORDER BY id

@params ["5"]
UPDATE products SET {c} = {c} + $1 WHERE id = 2 RETURNING {c}

@params ["5"]
@types int4
UPDATE products SET {c} = {c} * $1 WHERE id = 2 RETURNING {c}

@params ["5"]
UPDATE products SET {c} = $1 + 1 WHERE id = 2 RETURNING {c}

@params ["5.5"]
@types numeric
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5.5"]
@types float8
UPDATE products SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["5.5"]
@types float8
INSERT INTO products ({c}) VALUES ($1) RETURNING {c}

@params ["99999999999999999999"]
UPDATE products SET {c} = $1 WHERE id = 2

@params ["5"]
INSERT INTO products ({c}) VALUES ($1 * 2), (-$1) RETURNING {c}

UPDATE products SET {c} = {c} + 1

UPDATE products SET {c} = {c} + 1 WHERE {c} < 10 RETURNING id, {c}

UPDATE products SET {c} = {c} * 1.5 WHERE id < 3 RETURNING id, {c}

UPDATE products SET {c} = {c} / 3.0 WHERE id < 5 RETURNING id, {c}

UPDATE products SET {c} = age / 4 WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 5.5 WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 2.5::float8 WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = '5.5' WHERE id = 2

UPDATE products SET {c} = ' 7 ' WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = '007' WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 1e3 WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 9223372036854775807 WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = 9223372036854775808 WHERE id = 2

UPDATE products SET {c} = {c} + 9223372036854775807 WHERE id = 2

@error any
UPDATE products SET {c} = '5'::text WHERE id = 2

@error any
UPDATE products SET {c} = '5'::varchar WHERE id = 2

@error any
UPDATE products SET {c} = email WHERE id = 2

UPDATE products SET {c} = 1 / 0 WHERE id = 2

UPDATE products SET {c} = -{c} WHERE id < 5 RETURNING {c}

UPDATE products SET {c} = CASE WHEN {c} > 9 THEN 1 ELSE 2.7 END RETURNING id, {c}

UPDATE products SET ({c}, age) = ({c} + 1, age + 1) WHERE id < 3 RETURNING {c}, age

UPDATE products SET {c} = length(email) WHERE email IS NOT NULL RETURNING id, {c}

INSERT INTO products ({c}) VALUES (1 + 2), (2.6), (DEFAULT), (abs(-4)) RETURNING {c}

@error any
INSERT INTO products ({c}) VALUES ('5'::text)

INSERT INTO products ({c}) VALUES ('x')

INSERT INTO products ({c}) VALUES (3), ('4') RETURNING {c}

INSERT INTO products ({c}) VALUES (3), (4.6) RETURNING {c}

INSERT INTO products (id, {c}) VALUES (2, 5) ON CONFLICT (id) DO UPDATE SET {c} = products.{c} + EXCLUDED.{c} RETURNING {c}

INSERT INTO products (id, {c}) VALUES (2, 5.6) ON CONFLICT (id) DO UPDATE SET {c} = products.{c} * EXCLUDED.{c} RETURNING {c}

INSERT INTO products (id, {c}) SELECT 200 + id, {c} * 2 FROM products WHERE id < 4 RETURNING id, {c}

INSERT INTO products (id, {c}) SELECT 200 + id, {c} / 2.0 FROM products WHERE id < 4 RETURNING id, {c}

INSERT INTO products (id, {c}) SELECT 200, total FROM orders WHERE id = 4 RETURNING {c}

@error any
INSERT INTO products (id, {c}) SELECT 200, full_name FROM people WHERE id = 1

INSERT INTO products (id, {c}) SELECT 200 + age, sum({c}) FROM products WHERE age IS NOT NULL GROUP BY age ORDER BY age RETURNING id, {c}

INSERT INTO products (id, {c}) VALUES (200, (random() * 0)::bigint) RETURNING {c}

UPDATE products SET {c} = total FROM orders o WHERE o.user_id = products.id AND o.id = 4 RETURNING {c}

MERGE INTO products p USING (VALUES (2, 5), (200, 6)) v (i, w) ON p.id = v.i WHEN MATCHED THEN UPDATE SET {c} = p.{c} + v.w WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (v.i, v.w)

@star
@auto none
INSERT INTO products VALUES (200, 'n@x', 3, '2024-01-02', 5)

@star
@auto none
INSERT INTO products VALUES (200, 'n@x', 3, '2024-01-02', DEFAULT) RETURNING *
