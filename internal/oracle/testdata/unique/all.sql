@@ Upserts on the column, by inference and by the constraint's name.

INSERT INTO {t} (id, {c}) VALUES (50, '50') ON CONFLICT ({c}) DO NOTHING RETURNING id, {c}

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ({c}) DO NOTHING RETURNING id, {c}

INSERT INTO {t} (id, {c}, age) VALUES (50, '10', 1) ON CONFLICT ({c}) DO UPDATE SET age = excluded.age + {t}.age RETURNING id, {c}, age

INSERT INTO {t} AS x (id, {c}) VALUES (50, '10'), (51, '51') ON CONFLICT ({c}) DO UPDATE SET age = 5, {c} = EXCLUDED.{c} WHERE x.id < 100 RETURNING x.id, x.{c}, x.age

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ({c}) DO UPDATE SET {c} = '60' RETURNING id, {c}

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ({c}) DO UPDATE SET {c} = '9' RETURNING id

INSERT INTO {t} (id, {c}) VALUES (50, '10'), (51, '10') ON CONFLICT ({c}) DO UPDATE SET age = 1

INSERT INTO {t} (id, {c}) VALUES (50, '50'), (51, '50') ON CONFLICT ({c}) DO UPDATE SET age = 1

INSERT INTO {t} (id, {c}) VALUES (50, '50'), (51, '50') ON CONFLICT ({c}) DO NOTHING RETURNING id

INSERT INTO {t} (id, {c}) VALUES (50, NULL), (51, NULL) ON CONFLICT ({c}) DO NOTHING RETURNING id, {c}

INSERT INTO {t} (id, age) VALUES (50, 1) ON CONFLICT ({c}) DO UPDATE SET age = 2 RETURNING id, {c}

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ON CONSTRAINT one_value DO NOTHING RETURNING id

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ON CONSTRAINT one_value DO UPDATE SET age = 3, {c} = EXCLUDED.{c} RETURNING id, {c}, age

INSERT INTO {t} (id, {c}) VALUES (50, '50') ON CONFLICT ON CONSTRAINT one_value DO UPDATE SET age = 3 RETURNING id, {c}, age

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT DO NOTHING RETURNING id

INSERT INTO {t} (id, {c}) VALUES (1, '50') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING id, {c}

INSERT INTO {t} (id, {c}) VALUES (1, '9') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c}

INSERT INTO {t} (id, {c}) SELECT id + 100, {c} FROM {t} WHERE id IN (1, 3, 4) ON CONFLICT ({c}) DO UPDATE SET age = 0 RETURNING id, {c}

WITH i AS (INSERT INTO {t} (id, {c}) VALUES (50, '10'), (51, '51') ON CONFLICT ({c}) DO UPDATE SET age = 9 RETURNING id, {c}) SELECT * FROM i ORDER BY id

@params ["50", "10"]
INSERT INTO {t} (id, {c}) VALUES ($1, $2) ON CONFLICT ({c}) DO UPDATE SET age = 8 RETURNING id, {c}, age

@params ["50", "77"]
INSERT INTO {t} (id, {c}) VALUES ($1, $2) ON CONFLICT ({c}) DO UPDATE SET {c} = $2 RETURNING id, {c}, age

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT (email) DO NOTHING

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ({c}, id) DO NOTHING

INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT (nothing) DO NOTHING

@@ Violations.

INSERT INTO {t} (id, {c}) VALUES (50, '10')

INSERT INTO {t} (id, {c}) VALUES (50, '50'), (51, '50')

UPDATE {t} SET {c} = '10' WHERE id = 2

UPDATE {t} SET {c} = '10' WHERE id = 1 RETURNING id, {c}

UPDATE {t} SET {c} = NULL RETURNING id

UPDATE {t} SET {c} = CASE id WHEN 1 THEN 20 ELSE 30 END WHERE id IN (1, 2) RETURNING id, {c}

DELETE FROM {t} WHERE {c} = '10' RETURNING id
---
INSERT INTO {t} (id, {c}) VALUES (50, '10') RETURNING id, {c}

SAVEPOINT a
---
INSERT INTO {t} (id, {c}) VALUES (50, '10')
---
ROLLBACK TO a
---
INSERT INTO {t} (id, {c}) VALUES (50, '10') ON CONFLICT ({c}) DO UPDATE SET age = 7 RETURNING id, age

MERGE INTO {t} AS x USING (VALUES (50, '10'), (51, '51')) AS s (id, v) ON x.id = s.id WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (s.id, '51')
