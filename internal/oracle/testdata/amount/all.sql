SELECT id, {c}, {c} * 2, {c} + 1, -{c}, {c}::text FROM bills ORDER BY {c}, id

SELECT sum({c}), avg({c}), max({c}) FROM bills

SELECT id FROM bills WHERE {c} > 9 ORDER BY {c} DESC, id

SELECT id FROM bills WHERE {c} = 100 ORDER BY id

SELECT id FROM bills WHERE {c} BETWEEN 0 AND 100.5 ORDER BY id

SELECT {c}, count(*) FROM bills GROUP BY {c} ORDER BY {c}

SELECT age, sum({c}) FROM bills GROUP BY age HAVING sum({c}) > 100 ORDER BY age

SELECT b.id, o.id FROM bills b JOIN orders o ON o.total = b.{c} ORDER BY 1, 2

SELECT round({c} / 3, 1), {c} % 3, {c}::int FROM bills WHERE id < 5 ORDER BY id

SELECT greatest({c}, 5), COALESCE({c}, 0), CASE WHEN {c} > 5 THEN {c} END FROM bills ORDER BY id

SELECT {c} FROM bills UNION SELECT total FROM orders ORDER BY 1

@star
SELECT * FROM bills ORDER BY id

@params ["1"]
SELECT id FROM bills WHERE {c} = $1 ORDER BY id

@params ["1.5"]
@types numeric
SELECT id FROM bills WHERE {c} > $1 ORDER BY id

@params ["7"]
UPDATE bills SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7.2"]
@types numeric
UPDATE bills SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7.237"]
@types numeric
UPDATE bills SET {c} = $1 WHERE id = 2 RETURNING {c}

@params ["7"]
@types int4
UPDATE bills SET {c} = {c} + $1 WHERE id = 2 RETURNING {c}

@params ["7.237"]
@types numeric
INSERT INTO bills ({c}) VALUES ($1), ($1 + 1) RETURNING {c}

@params ["7"]
INSERT INTO bills ({c}, email) VALUES ($1, 'a'), ($1, 'b') RETURNING {c}

UPDATE bills SET {c} = 7

UPDATE bills SET {c} = 1.239 WHERE id = 2 RETURNING {c}

UPDATE bills SET {c} = 1.239::float8 WHERE id = 2 RETURNING {c}

UPDATE bills SET {c} = '1' WHERE id = 2 RETURNING {c}

UPDATE bills SET {c} = {c} + 1 WHERE {c} < 1000 RETURNING id, {c}

UPDATE bills SET {c} = {c} * 1.1 WHERE id < 5 RETURNING id, {c}

UPDATE bills SET {c} = {c} / 3 WHERE id < 5 RETURNING id, {c}

UPDATE bills SET {c} = age WHERE id = 2 RETURNING {c}

UPDATE bills SET {c} = DEFAULT WHERE id < 3 RETURNING {c}

UPDATE bills SET {c} = NULL WHERE id = 2

@fails 22003 it is more than old code can hold
UPDATE bills SET {c} = 100000000000 WHERE id = 2

UPDATE bills SET {c} = 'x' WHERE id = 2

@error any
UPDATE bills SET {c} = '1'::text WHERE id = 2

@error any
UPDATE bills SET {c} = true WHERE id = 2

UPDATE bills SET ({c}, age) = (7.777, 3) WHERE id = 2 RETURNING {c}, age

UPDATE bills SET {c} = o.total FROM orders o WHERE o.id = 4 AND bills.id = 2 RETURNING {c}

UPDATE bills SET {c} = (SELECT max(total) FROM orders) WHERE id = 2 RETURNING {c}

UPDATE bills SET {c} = nextval('ticks') WHERE id < 3 RETURNING {c}

@only old
@fails 0A000 NaN is no sum of cents
UPDATE bills SET {c} = 'NaN' WHERE id = 2

INSERT INTO bills ({c}) VALUES (1), (2.345), (DEFAULT), ('3') RETURNING {c}

INSERT INTO bills (email) VALUES ('n') RETURNING {c}

INSERT INTO bills DEFAULT VALUES RETURNING {c}

INSERT INTO bills (id, {c}) SELECT 200 + id, {c} FROM bills WHERE id < 5

INSERT INTO bills (id, {c}) SELECT 200 + id, {c} / 3 FROM bills WHERE id < 5 ORDER BY id RETURNING id, {c}

INSERT INTO bills (id, {c}) SELECT 200 + id, total FROM orders ORDER BY id RETURNING id, {c}

INSERT INTO bills (id, {c}) VALUES (2, 1.239) ON CONFLICT (id) DO UPDATE SET {c} = bills.{c} + EXCLUDED.{c} RETURNING {c}

INSERT INTO bills (id, {c}) VALUES (2, 1.239) ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} * 1.5 RETURNING {c}

DELETE FROM bills WHERE {c} > 9 RETURNING id, {c}

MERGE INTO bills b USING orders o ON o.id = b.id WHEN MATCHED THEN UPDATE SET {c} = o.total WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (o.id, o.total)

@simple
COPY bills ({c}, id) TO STDOUT
