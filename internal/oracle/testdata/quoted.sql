@variants quoted
SELECT {c} FROM {t} ORDER BY id

@variants quoted
SELECT {t}.{c} FROM {t} ORDER BY {c}, id

@variants quoted
SELECT u.{c}, u.{q} FROM {t} u WHERE u.{c} = 'Ann' ORDER BY u.id

@variants quoted
SELECT public.{t}.{c} FROM public.{t} ORDER BY id

@variants quoted
@star
SELECT * FROM {t} ORDER BY id

@variants quoted
@star
SELECT {t}.* FROM {t} ORDER BY id

@variants quoted
SELECT {c} AS x, upper({c}) FROM {t} GROUP BY {c} ORDER BY {c}

@variants quoted
SELECT id AS {c} FROM {t} ORDER BY {c}

@variants quoted
SELECT id FROM {t} ORDER BY {c}, id

@variants quoted
SELECT {c}::text FROM {t} ORDER BY id

@variants quoted
SELECT x.{c} FROM (SELECT {c} FROM {t}) x ORDER BY 1

@variants quoted
SELECT u.{c}, o.name FROM {t} u JOIN orders o ON o.user_id = u.id ORDER BY o.id

@variants quoted
INSERT INTO {t} ({c}) VALUES ('x') RETURNING {c}

@variants quoted
INSERT INTO {t} (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} || {t}.{c} RETURNING {c}

@variants quoted
@star
INSERT INTO {t} ({c}) VALUES ('x') RETURNING *

@variants quoted
@params ["x", "2"]
UPDATE {t} SET {c} = $1 WHERE id = $2 RETURNING {c}

@variants quoted
UPDATE {t} SET {c} = {c} || '!' WHERE {c} = 'Bob' RETURNING {t}.{c}

@variants quoted
UPDATE {t} AS "U" SET {c} = "U".{c} || '!' WHERE "U".{c} = 'Bob' RETURNING "U".{c}

@variants quoted
DELETE FROM {t} WHERE {c} = 'Ann' RETURNING {c}

@variants quoted
SELECT nothing, {c} FROM {t}

@variants quoted
SELECT {c}, {other} FROM {t}

@variants quoted
SELECT "user name" FROM {t}

@variants quoted
SELECT {c} FROM "user table"

@variants quoted
@params ["Ann"]
SELECT id FROM {t} WHERE {c} = $1 ORDER BY id
