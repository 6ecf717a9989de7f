SELECT id, first_name, last_name, last_name || ', ' || first_name AS x FROM persons ORDER BY last_name, first_name, id

SELECT id FROM persons WHERE first_name = 'Ann' ORDER BY id

SELECT id FROM persons WHERE first_name = 'Ann' AND last_name <> 'Lee' ORDER BY id

SELECT id FROM persons WHERE NOT (first_name = 'Ann') ORDER BY id

SELECT id FROM persons WHERE (first_name, last_name) IN (('Ann', 'Lee'), ('Al', 'Lee')) ORDER BY id

SELECT id FROM persons WHERE last_name LIKE 'L%' ORDER BY id

SELECT id FROM persons WHERE last_name IS NULL

SELECT last_name, count(*), min(first_name) FROM persons GROUP BY last_name ORDER BY 1

SELECT p.first_name, q.last_name FROM persons p JOIN persons q ON p.first_name = q.last_name ORDER BY 1, 2

SELECT p.id, o.name FROM persons p LEFT JOIN orders o ON o.name = p.first_name ORDER BY 1, 2

SELECT DISTINCT ON (last_name) last_name, first_name FROM persons ORDER BY last_name, first_name

SELECT x.* FROM (SELECT first_name, last_name FROM persons WHERE id < 4) x ORDER BY 1, 2

SELECT first_name AS full_name FROM persons ORDER BY full_name, id

@star
SELECT * FROM persons ORDER BY id

@star
SELECT p.*, row_to_json(p) FROM persons p WHERE last_name = 'Lee' ORDER BY id

@params ["Ann", "Lee"]
SELECT id FROM persons WHERE first_name = $1 AND last_name = $2 ORDER BY id

@params ["Ann"]
@types varchar
SELECT id FROM persons WHERE first_name = $1 OR last_name = $1 ORDER BY id

UPDATE persons SET first_name = 'Eve'

UPDATE persons SET first_name = 'Eve' WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET last_name = 'Eve' WHERE last_name = 'Ray' RETURNING id, first_name, last_name

UPDATE persons SET first_name = 'Eve', last_name = 'Doe' WHERE id IN (1, 2) RETURNING *, first_name

UPDATE persons SET last_name = 'Doe', age = 3, first_name = 'Eve' WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET first_name = last_name, last_name = first_name WHERE id < 4 RETURNING first_name, last_name

UPDATE persons SET first_name = upper(first_name) WHERE id < 5 RETURNING first_name, last_name

UPDATE persons SET last_name = last_name || '-' || first_name RETURNING id, last_name

UPDATE persons SET (first_name, last_name) = ('Eve', 'Doe') WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET (first_name, age) = ('Eve', 3) WHERE id = 2 RETURNING first_name, last_name, age

UPDATE persons SET (first_name, last_name) = (SELECT 'Eve', 'Doe') WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET first_name = (SELECT max(p.last_name) FROM persons p) WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET first_name = 't' || nextval('ticks') WHERE id < 3 RETURNING first_name, last_name

UPDATE persons SET first_name = 't' || nextval('ticks'), last_name = 'x' WHERE id < 3 RETURNING first_name, last_name

UPDATE persons SET first_name = DEFAULT WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET first_name = DEFAULT, last_name = DEFAULT WHERE id = 2 RETURNING first_name, last_name

@fails 22000 a NULL half has no form in the whole
UPDATE persons SET first_name = NULL WHERE id = 2

@fails 22000 a NULL half has no form in the whole
UPDATE persons SET first_name = NULL, last_name = 'x' WHERE id = 2

UPDATE persons SET first_name = 5 WHERE id = 2

UPDATE persons SET first_name = age, last_name = id WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET last_name = 'de la Cruz' WHERE id = 2 RETURNING first_name, last_name

UPDATE persons SET age = length(first_name) RETURNING id, age

UPDATE persons SET age = 1 WHERE first_name = 'Bob' RETURNING id

UPDATE persons p SET first_name = q.first_name FROM persons q WHERE q.id = p.id + 1 RETURNING p.id, p.first_name, p.last_name

@params ["Eve", "Doe", "2"]
UPDATE persons SET first_name = $1, last_name = $2 WHERE id = $3 RETURNING first_name, last_name

@params ["Eve"]
UPDATE persons SET first_name = $1 WHERE last_name = $1 OR id = 2 RETURNING first_name, last_name

@params ["Eve"]
@types varchar
UPDATE persons SET first_name = $1, last_name = $1 WHERE id = 2 RETURNING first_name, last_name

@params ["Eve"]
UPDATE persons SET first_name = $1 || 'x', last_name = upper($1) WHERE id = 2 RETURNING first_name, last_name

@fails 22000 a NULL half has no form in the whole
@params [null]
UPDATE persons SET first_name = $1 WHERE id = 2

INSERT INTO persons (first_name, last_name) VALUES ('Eve', 'Doe') RETURNING id, first_name, last_name

INSERT INTO persons (last_name, email, first_name) VALUES ('Doe', 'n', 'Eve'), ('Roe', 'm', 'Ed') RETURNING id, first_name, last_name

INSERT INTO persons (first_name, last_name) VALUES (DEFAULT, 'Doe'), ('Eve', DEFAULT), (DEFAULT, DEFAULT) RETURNING first_name, last_name

INSERT INTO persons (email) VALUES ('n') RETURNING first_name, last_name

INSERT INTO persons DEFAULT VALUES RETURNING first_name, last_name

@fails 22000 a NULL half has no form in the whole
INSERT INTO persons (first_name, last_name) VALUES (NULL, 'x')

INSERT INTO persons (first_name, last_name) VALUES (NULL, NULL)

INSERT INTO persons (first_name, first_name) VALUES ('a', 'b')

@refused
INSERT INTO persons (first_name, last_name) VALUES ('t' || nextval('ticks'), 'x'), ('Eve', 'Doe') RETURNING first_name, last_name

@params ["Eve", "Doe"]
INSERT INTO persons (first_name, last_name) VALUES ($1, $2), ($2, $1) RETURNING first_name, last_name

@params ["Eve"]
INSERT INTO persons (first_name, last_name, email) VALUES ($1, $1, $1) RETURNING first_name, last_name

@star
INSERT INTO persons VALUES (200, 'Eve', 'Doe', 'n', 3)

INSERT INTO persons (id, first_name, last_name) SELECT 200 + id, last_name, first_name FROM persons WHERE id < 4

INSERT INTO persons (id, first_name, last_name) SELECT 200 + id, last_name, first_name FROM persons ORDER BY last_name, first_name, id RETURNING id, first_name

INSERT INTO persons (id, first_name, last_name) SELECT 200, 'a', 'b' UNION SELECT 201, 'c', 'd'

INSERT INTO persons (id, first_name, last_name) VALUES (2, 'Eve', 'Doe') ON CONFLICT (id) DO UPDATE SET first_name = EXCLUDED.first_name RETURNING first_name, last_name

INSERT INTO persons (id, first_name, last_name) VALUES (2, 'Eve', 'Doe') ON CONFLICT (id) DO UPDATE SET first_name = EXCLUDED.last_name, last_name = persons.first_name RETURNING first_name, last_name

DELETE FROM persons WHERE first_name = 'Ann' RETURNING id, first_name, last_name

DELETE FROM persons p USING orders o WHERE o.name = p.first_name RETURNING p.id, p.last_name

WITH u AS (UPDATE persons SET first_name = 'Eve' WHERE id < 3 RETURNING id, first_name, last_name) SELECT * FROM u ORDER BY id

@simple
COPY persons (first_name, last_name) TO STDOUT

@simple
@star
COPY persons TO STDOUT (FORMAT csv, HEADER)

UPDATE persons SET first_name = 'Eve' WHERE id = 2
---
UPDATE persons SET last_name = 'Doe' WHERE id = 2
---
SELECT first_name, last_name FROM persons WHERE first_name = 'Eve' AND last_name = 'Doe'

@auto none
SELECT full_name FROM persons

@fails 22000 a blank parts the names
UPDATE persons SET first_name = 'Eve Ann' WHERE id = 2 RETURNING first_name, last_name

INSERT INTO persons (first_name) VALUES ('Eve') RETURNING first_name, last_name

INSERT INTO persons (last_name) VALUES ('Doe'), (DEFAULT) RETURNING first_name, last_name

@star
INSERT INTO persons VALUES (200, 'Eve') RETURNING *

INSERT INTO persons (id, first_name) SELECT 200 + id, last_name FROM persons WHERE id < 4 ORDER BY id RETURNING first_name, last_name

INSERT INTO persons (id, first_name) VALUES (2, 'Eve') ON CONFLICT (id) DO UPDATE SET last_name = EXCLUDED.last_name, age = 5 WHERE persons.first_name = 'Bob' RETURNING first_name, last_name, age

INSERT INTO persons (email, first_name) VALUES ('ann@x', 'Eve') ON CONFLICT (email) DO UPDATE SET (first_name, last_name) = (EXCLUDED.first_name, 'Doe') RETURNING id, first_name, last_name

MERGE INTO persons p USING (VALUES (2, 'Eve'), (200, 'Ed')) v (i, w) ON p.id = v.i WHEN MATCHED THEN UPDATE SET first_name = v.w WHEN NOT MATCHED THEN INSERT (id, first_name) VALUES (v.i, v.w)
