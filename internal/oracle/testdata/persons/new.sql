SELECT id, full_name, upper(full_name), length(full_name) FROM persons ORDER BY full_name, id

SELECT id FROM persons WHERE full_name = 'Ann Lee' ORDER BY id

SELECT id FROM persons WHERE NOT (full_name = 'Ann Lee') ORDER BY id

SELECT id FROM persons WHERE full_name LIKE 'A%' ORDER BY full_name, id

SELECT id FROM persons WHERE full_name IN ('Ann Lee', 'Bob Ray') ORDER BY id

SELECT split_part(full_name, ' ', 1) AS f, count(*) FROM persons GROUP BY 1 ORDER BY 1

SELECT full_name AS first_name FROM persons ORDER BY first_name, id

SELECT a.full_name FROM persons a JOIN persons b USING (full_name) ORDER BY 1

SELECT p.full_name, q.full_name FROM persons p LEFT JOIN people q ON p.full_name = q.full_name ORDER BY 1, 2

@star
SELECT * FROM persons ORDER BY id

@star
SELECT row_to_json(p) FROM persons p WHERE full_name = 'Ann Lee'

@params ["Ann Lee"]
SELECT id FROM persons WHERE full_name = $1 ORDER BY id

UPDATE persons SET full_name = 'Eve Doe'

UPDATE persons SET full_name = 'Eve Doe' WHERE full_name = 'Bob Ray' RETURNING id, full_name

UPDATE persons SET full_name = full_name || 'son' WHERE id < 4 RETURNING id, full_name

UPDATE persons SET full_name = upper(full_name), age = length(full_name) RETURNING id, full_name, age

UPDATE persons SET (full_name, age) = ('Eve Doe', 3) WHERE id = 2 RETURNING full_name

UPDATE persons SET full_name = 'Eve de la Cruz' WHERE id = 2 RETURNING full_name

UPDATE persons SET full_name = ' Doe' WHERE id = 2 RETURNING full_name

UPDATE persons SET full_name = NULL WHERE id = 2

UPDATE persons SET full_name = DEFAULT WHERE id = 2 RETURNING full_name

UPDATE persons SET full_name = q.full_name || ' Junior' FROM people q WHERE q.id = persons.id RETURNING persons.id, persons.full_name

UPDATE persons SET full_name = (SELECT max(p.full_name) FROM persons p) WHERE id = 2 RETURNING full_name

UPDATE persons SET full_name = 'No ' || nextval('ticks') WHERE id < 3 RETURNING full_name

UPDATE persons SET (full_name, age) = (SELECT 'Eve Doe', 3) WHERE id = 2 RETURNING full_name

UPDATE persons SET age = 1 WHERE full_name = 'Bob Ray' RETURNING *

@params ["Eve Doe"]
UPDATE persons SET full_name = $1 WHERE id = 2 RETURNING full_name

@params ["Eve Doe"]
@types varchar
UPDATE persons SET full_name = $1 WHERE full_name <> $1 AND id = 2 RETURNING full_name

@params ["Eve Doe"]
UPDATE persons SET full_name = $1, email = $1 WHERE id = 2 RETURNING full_name, email

INSERT INTO persons (full_name) VALUES ('Eve Doe') RETURNING id, full_name

INSERT INTO persons (email, full_name) VALUES ('n', 'Eve Doe'), ('m', DEFAULT) RETURNING id, full_name

INSERT INTO persons (email) VALUES ('n') RETURNING full_name

INSERT INTO persons DEFAULT VALUES RETURNING full_name

INSERT INTO persons (full_name) VALUES (NULL)

@params ["Eve Doe", "Ed Roe"]
INSERT INTO persons (full_name) VALUES ($1), ($2) RETURNING full_name

INSERT INTO persons (full_name) VALUES ('No ' || nextval('ticks')) RETURNING full_name

INSERT INTO persons (id, full_name) SELECT 200 + id, full_name FROM persons WHERE id < 4

INSERT INTO persons (id, full_name) SELECT 200 + id, upper(full_name) FROM persons ORDER BY full_name, id RETURNING id, full_name

INSERT INTO persons (id, full_name) VALUES (2, 'Eve Doe') ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name RETURNING full_name

INSERT INTO persons (id, full_name) VALUES (2, 'Eve Doe') ON CONFLICT (id) DO UPDATE SET full_name = persons.full_name || EXCLUDED.full_name WHERE persons.full_name <> 'x' RETURNING full_name

INSERT INTO persons (id, full_name) VALUES (2, 'Eve Doe') ON CONFLICT (id) DO NOTHING

DELETE FROM persons WHERE full_name LIKE 'A%' RETURNING id, full_name

MERGE INTO persons p USING (VALUES (2, 'Eve Doe'), (200, 'Ed Roe')) v (i, w) ON p.id = v.i WHEN MATCHED THEN UPDATE SET full_name = v.w WHEN NOT MATCHED THEN INSERT (id, full_name) VALUES (v.i, v.w)

@simple
COPY persons (full_name, id) TO STDOUT

UPDATE persons SET full_name = 'Eve Doe' WHERE id = 2
---
SELECT full_name, age FROM persons WHERE full_name = 'Eve Doe'

@auto none
SELECT first_name FROM persons

@fails 22000 a name without a blank has no form as two
UPDATE persons SET full_name = 'Eve' WHERE id = 2 RETURNING full_name

@fails 22000 a name without a blank has no form as two
INSERT INTO persons (full_name) VALUES ('Eve') RETURNING full_name

@fails 22000 a name without a blank has no form as two
UPDATE persons SET full_name = '' WHERE id = 2

@@ A value that is computed once, beside DEFAULT.

INSERT INTO persons (id, full_name, age, created_at) VALUES (50, tick(), DEFAULT, DEFAULT) RETURNING id, full_name, age, created_at

@star
INSERT INTO persons VALUES (50, 'x@y', DEFAULT, DEFAULT, tick()) RETURNING *
