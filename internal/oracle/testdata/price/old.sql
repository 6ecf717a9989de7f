@@ The column is text.

SELECT {c} FROM products WHERE {c} LIKE '1%' ORDER BY {c}, id

SELECT {c} FROM products WHERE {c} ~ '^-' ORDER BY {c}

SELECT length({c}), upper({c}), {c} || '.00', substr({c}, 1, 2) FROM products ORDER BY id

SELECT {c}::int + 1 FROM products WHERE length({c}) < 9 ORDER BY id

SELECT lpad({c}, 8, '0') FROM products ORDER BY 1

SELECT {c} COLLATE "C" FROM products ORDER BY {c} COLLATE "C", id

SELECT id FROM products WHERE {c} = '010' ORDER BY id

SELECT id FROM products WHERE {c} = '10 ' ORDER BY id

SELECT id FROM products WHERE {c} = ' 10' ORDER BY id

SELECT id FROM products WHERE {c} = 10 ORDER BY id

SELECT id FROM products WHERE {c}::bigint = 10 ORDER BY id

SELECT id FROM products WHERE {c} + 1 = 10

SELECT sum({c}) FROM products

SELECT p.id FROM products p JOIN people q ON q.id::text = p.{c} ORDER BY 1

SELECT id, {c} FROM products WHERE {c} = ANY (ARRAY['10', '42']) ORDER BY id

SELECT id, {c} FROM products WHERE {c} = ANY (ARRAY['10', '42']::varchar[]) ORDER BY id

@params ["1%"]
SELECT {c} FROM products WHERE {c} LIKE $1 ORDER BY {c}, id

@params ["x"]
SELECT {c} || $1 FROM products ORDER BY id

@params ["x"]
SELECT COALESCE({c}, $1) FROM products ORDER BY id

@@ What is written is text, and has a form as a number.

UPDATE products SET {c} = {c} || '0' WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = ({c}::bigint + 1)::text RETURNING id, {c}

UPDATE products SET {c} = ({c}::bigint + 1)::varchar WHERE {c} = '9' RETURNING id, {c}

UPDATE products SET {c} = trim(' 5 ') WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = substr('12345', 1, 3) WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = '12345'::varchar(2) WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = '5'::text WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = '5'::char(1) WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = concat(age, '') WHERE id = 2 RETURNING {c}

@params ["5"]
UPDATE products SET {c} = $1 || '0' WHERE id = 2 RETURNING {c}

@params ["5"]
@types text
UPDATE products SET {c} = $1 || {c} WHERE id = 2 RETURNING {c}

@params ["5"]
UPDATE products SET {c} = $1::int + 1 WHERE id = 2 RETURNING {c}

@params ["5"]
INSERT INTO products ({c}) VALUES ($1 || '1') RETURNING {c}

INSERT INTO products ({c}) VALUES (length('four')), ('4' || '5'), ((1 + 2)::text) RETURNING {c}

@@ Volatile values are computed once.

UPDATE products SET {c} = nextval('ticks')::text WHERE id < 4 RETURNING {c}

INSERT INTO products (id, {c}) VALUES (200, nextval('ticks')::text), (201, '7') RETURNING id, {c}

INSERT INTO products (id, {c}) SELECT 200 + id, nextval('ticks')::text FROM products WHERE id < 4 ORDER BY id RETURNING {c}

UPDATE products SET {c} = (random() * 0)::int::text WHERE id < 3 RETURNING {c}

@@ Too long, and other errors of assignment.

UPDATE products SET {c} = '123456789012345678901' WHERE id = 2

UPDATE products SET {c} = '123456789012345678901' WHERE false

UPDATE products SET {c} = repeat('1', 21) WHERE id = 2

INSERT INTO products ({c}) VALUES ('123456789012345678901')

@fails 22003, 22000 no bigint is as large
UPDATE products SET {c} = '99999999999999999999' WHERE id = 2

@fails 22P02 an empty text is no number
UPDATE products SET {c} = '' WHERE id = 2

@fails 22P02 a word is no number
UPDATE products SET {c} = {c} || 'x' WHERE id = 2 RETURNING {c}

@fails 22P02 a word is no number
INSERT INTO products ({c}) VALUES (tick())

@fails 22P02 a word is no number
INSERT INTO products ({c}, email) SELECT full_name, full_name FROM people WHERE id = 1

@fails 22P02 a word is no number
INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} || 'x' RETURNING {c}

UPDATE products SET {c} = {c} + 1 WHERE id = 2

UPDATE products SET {c} = age || '' WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = age || ''

UPDATE products SET {c} = (SELECT max(total) FROM orders WHERE id = 2) WHERE id = 2 RETURNING {c}

UPDATE products SET {c} = (SELECT count(*) FROM orders) WHERE id = 2 RETURNING {c}

UPDATE products SET ({c}, age) = (SELECT count(*), 3 FROM orders) WHERE id = 2 RETURNING {c}, age

@@ Upserts and lists of columns.

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} || products.{c} RETURNING {c}

INSERT INTO products (id, {c}) VALUES (2, '5') ON CONFLICT (id) DO UPDATE SET {c} = nextval('ticks')::text RETURNING {c}

@star
INSERT INTO products VALUES (200, '5', 'n@x', 3)

@star
INSERT INTO products VALUES (200, DEFAULT) RETURNING *

INSERT INTO products (id, {c}) SELECT 200, '5' UNION ALL SELECT 201, '6'

@only old
@auto none
SELECT {other} FROM products

@fails 22000 an empty place behind the number is lost as a number
UPDATE products SET {c} = '5 ' WHERE id = 2

@fails 22000 blanks behind the number are lost as a number
UPDATE products SET {c} = '5                              ' WHERE id = 2 RETURNING length({c})

@fails 22000 a leading zero is lost as a number
UPDATE products SET {c} = '007' WHERE id = 2 RETURNING {c}

@fails 22000 a leading zero is lost as a number
INSERT INTO products ({c}) VALUES ('007') RETURNING {c}
