WITH x AS (SELECT {c} FROM users) SELECT {c} FROM x ORDER BY 1

WITH x AS (SELECT id, {c} FROM users) SELECT x.{c}, o.name FROM x JOIN orders o ON o.user_id = x.id ORDER BY o.id

WITH x(n) AS (SELECT {c} FROM users) SELECT n FROM x ORDER BY n

WITH x({other}) AS (SELECT {c} FROM users) SELECT {other} FROM x ORDER BY 1

WITH x AS MATERIALIZED (SELECT {c} AS n FROM users WHERE {c} > 'A') SELECT count(*) FROM x

WITH users AS (SELECT 'a' AS {c}) SELECT {c} FROM users

WITH users AS (SELECT 1 AS name) SELECT name FROM users

WITH users AS (SELECT * FROM people) SELECT full_name FROM users ORDER BY 1

WITH users AS (SELECT {c}, id FROM users) SELECT {c} FROM users ORDER BY id

WITH users AS (SELECT {c} AS x, id FROM users) SELECT x FROM users ORDER BY id

WITH a AS (SELECT {c} FROM users WHERE id = 1), b AS (SELECT {c} FROM a) SELECT * FROM b

WITH a AS (SELECT id, {c} FROM users) SELECT u.{c}, a.{c} FROM users u JOIN a USING (id) ORDER BY id

WITH RECURSIVE r(n, w) AS (SELECT 1, {c}::text FROM users WHERE id = 1 UNION ALL SELECT n + 1, w || {c} FROM r, users WHERE users.id = r.n AND n < 4) SELECT * FROM r ORDER BY n

WITH RECURSIVE r AS (SELECT id, {c} FROM users WHERE id = 1 UNION ALL SELECT u.id, u.{c} FROM users u JOIN r ON u.id = r.id + 1) SELECT {c} FROM r ORDER BY id

WITH RECURSIVE users AS (SELECT 1 AS {c} UNION ALL SELECT {c} + 1 FROM users WHERE {c} < 3) SELECT {c} FROM users ORDER BY 1

SELECT id FROM (WITH x AS (SELECT id, {c} FROM users) SELECT id FROM x WHERE {c} = 'Ann') y ORDER BY id

@@ That change data.

WITH i AS (INSERT INTO users ({c}) VALUES ('new') RETURNING id, {c}) SELECT * FROM i

@star
WITH i AS (INSERT INTO users ({c}) VALUES ('new') RETURNING *) SELECT * FROM i

WITH u AS (UPDATE users SET {c} = {c} || '!' WHERE id < 3 RETURNING id, {c}) SELECT {c} FROM u ORDER BY id

WITH d AS (DELETE FROM users WHERE {c} = 'Carl' RETURNING {c}) SELECT {c}, count(*) FROM d GROUP BY {c} ORDER BY 1

WITH d AS (DELETE FROM users WHERE {c} = 'Carl' RETURNING id, {c}) INSERT INTO people SELECT id + 100, {c} FROM d

WITH p AS (SELECT full_name FROM people WHERE id = 1) INSERT INTO users ({c}) SELECT full_name FROM p

WITH p AS (SELECT {c} FROM users WHERE id = 1) UPDATE users SET {c} = p.{c} || '2' FROM p WHERE users.id = 2

WITH p AS (SELECT id FROM users WHERE {c} = 'Ann') DELETE FROM orders WHERE user_id IN (SELECT id FROM p)

WITH p AS (SELECT id FROM users WHERE {c} = 'Ann') DELETE FROM users USING p WHERE users.id = p.id RETURNING users.{c}

WITH o AS (INSERT INTO orders VALUES (50, 1, 1, 'z') RETURNING user_id) SELECT {c} FROM users JOIN o ON o.user_id = users.id
