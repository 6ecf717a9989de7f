SELECT id, {c} FROM mails ORDER BY id

SELECT id FROM mails WHERE {c} = 'b@x' ORDER BY id

SELECT id FROM mails WHERE {c} > 'a' ORDER BY {c}, id

SELECT id, {c} IS NULL, COALESCE({c}, 'c'), {c} || '!' FROM mails ORDER BY id

SELECT {c}, count(*) FROM mails GROUP BY {c} ORDER BY {c} NULLS FIRST

SELECT a.id, b.id FROM mails a JOIN mails b USING ({c}) ORDER BY 1, 2

UPDATE mails SET {c} = upper({c}) WHERE id < 4 RETURNING id, {c}

UPDATE mails SET {c} = 'new@x' WHERE {c} = 'b@x' RETURNING *

UPDATE mails SET {c} = DEFAULT WHERE id = 3 RETURNING {c}

UPDATE mails SET age = 1 WHERE id = 2 RETURNING {c}

INSERT INTO mails (id, {c}) VALUES (101, 'x@x'), (102, DEFAULT), (103, 'y@x') RETURNING id, {c}

INSERT INTO mails (id) VALUES (104) RETURNING {c}

INSERT INTO mails (id, {c}) SELECT id + 200, {c} FROM mails WHERE id < 5 RETURNING id, {c}

INSERT INTO mails (id, {c}) VALUES (1, 'z@x') ON CONFLICT (id) DO UPDATE SET {c} = excluded.{c} || mails.{c} RETURNING {c}

DELETE FROM mails WHERE {c} = 'b@x' RETURNING id, {c}

@params ["p@x", "2"]
UPDATE mails SET {c} = $1 WHERE id = $2 RETURNING {c}

UPDATE mails SET {c} = NULL WHERE id = 1

@params [null, "2"]
UPDATE mails SET {c} = $1 WHERE id = $2

MERGE INTO mails USING (VALUES (1, 'm@x'), (105, 'n@x')) AS s (i, v) ON id = s.i WHEN MATCHED THEN UPDATE SET {c} = s.v WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (s.i, s.v)

COPY mails (id, {c}) TO STDOUT

@params ["{q@x,r@x}"]
INSERT INTO mails ({c}) SELECT unnest($1::text[]) RETURNING {c}

INSERT INTO mails (id, {c}) VALUES (105, NULL) RETURNING {c}

@params [null]
INSERT INTO mails (id, {c}) VALUES (105, 's@x'), (106, $1)

INSERT INTO mails ({c}, id) SELECT max({c}) FILTER (WHERE id > 1000), 105 FROM mails

INSERT INTO mails (id, {c}) VALUES (1, NULL) ON CONFLICT (id) DO NOTHING

INSERT INTO mails (id, {c}) SELECT 1, NULL WHERE false

MERGE INTO mails USING (VALUES (105, NULL)) AS s (i, v) ON id = s.i WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (s.i, s.v)
