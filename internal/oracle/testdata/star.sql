@star
SELECT * FROM users

@star
SELECT * FROM users ORDER BY id

@star
SELECT users.* FROM users ORDER BY id

@star
SELECT public.users.* FROM public.users ORDER BY id

@star
SELECT u.* FROM users u ORDER BY u.id

@star
SELECT *, {c} FROM users ORDER BY id

@star
SELECT {c}, * FROM users ORDER BY id

@star
SELECT *, * FROM users ORDER BY id

@star
SELECT * FROM users WHERE {c} = 'Ann' ORDER BY id

@star
SELECT * FROM users ORDER BY {c}, id

@star
SELECT u.*, o.* FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id

@star
SELECT * FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id

@star
SELECT * FROM users, people WHERE users.id = people.id ORDER BY people.id

@star
SELECT o.*, u.{c} FROM users u, orders o WHERE o.user_id = u.id ORDER BY o.id

SELECT o.*, u.{c} FROM users u, orders o WHERE o.user_id = u.id ORDER BY o.id

@star
SELECT * FROM users u LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id ORDER BY o.id LIMIT 1) x ON true ORDER BY u.id

@star
SELECT * FROM (SELECT * FROM users) x ORDER BY x.id

@star
SELECT x.{c} FROM (SELECT * FROM users) x ORDER BY x.id

@star
SELECT {c} FROM (SELECT * FROM users) x ORDER BY id

@star
SELECT * FROM (SELECT u.* FROM users u) AS x ORDER BY {c}, id

@star
SELECT x.a, x.b FROM (SELECT * FROM users) AS x(a, b) ORDER BY 1

@star
WITH x AS (SELECT * FROM users) SELECT * FROM x ORDER BY id

@star
WITH x AS (SELECT * FROM users) SELECT {c} FROM x ORDER BY id

@star
SELECT * FROM users NATURAL JOIN (SELECT 1 AS id) x

@star
SELECT * FROM users JOIN orders USING (id) ORDER BY id

@star
SELECT * FROM users u JOIN users v USING (id) ORDER BY id

@star
SELECT u.*, v.{c} FROM users u JOIN users v ON u.id = v.id ORDER BY u.id

@star
SELECT * FROM users UNION ALL SELECT * FROM users ORDER BY 1

@star
SELECT * FROM users EXCEPT SELECT * FROM users WHERE {c} = 'Ann' ORDER BY 1

@star
SELECT count(*) FROM (SELECT * FROM users) x

@star
SELECT EXISTS (SELECT * FROM users WHERE {c} = 'Ann')

SELECT EXISTS (SELECT * FROM users WHERE {c} = 'Ann')

@star
SELECT * FROM users WHERE EXISTS (SELECT * FROM orders WHERE user_id = users.id) ORDER BY id

@star
SELECT * FROM users WHERE id IN (SELECT user_id FROM orders WHERE name = users.{c}) ORDER BY id

@star
SELECT * FROM users FOR UPDATE

@star
SELECT * FROM users u FOR UPDATE OF u

@star
SELECT DISTINCT * FROM users ORDER BY id

@star
SELECT id, count(*), users.* FROM users GROUP BY id ORDER BY id

@star
SELECT/*c*/*/*d*/FROM/*e*/users ORDER BY id

@star
SELECT users . * FROM users ORDER BY id

@star
SELECT users./* in between */* FROM users ORDER BY id

@star
SELECT *
	-- everything
	FROM users
	ORDER BY id

@star
SELECT * FROM users LIMIT 0

@star
SELECT 1, *, 2 FROM users WHERE id = 1

@star
SELECT count(*), * FROM users GROUP BY id ORDER BY id

@star
SELECT * FROM ONLY users ORDER BY id

@star
SELECT * FROM users AS t(a) ORDER BY a

@star
SELECT * FROM users CROSS JOIN people ORDER BY users.id, people.id

@star
SELECT people.* FROM users CROSS JOIN people ORDER BY users.id, people.id

@star
SELECT (SELECT u.{c}), u.* FROM users u ORDER BY id

@@ Whole rows.

@star
SELECT users FROM users ORDER BY id

@star
SELECT u FROM users u ORDER BY u.id

@star
SELECT (u).{c} FROM users u ORDER BY u.id

SELECT (u).id FROM users u ORDER BY u.id

@star
SELECT (u).* FROM users u ORDER BY u.id

SELECT (users).{c} FROM users ORDER BY id

@refused
SELECT {c}(users) FROM users ORDER BY id

@refused
SELECT {c}(u) FROM users u ORDER BY id

@refused
SELECT email(u) FROM users u ORDER BY id

@star
SELECT row_to_json(u) FROM users u ORDER BY u.id

@star
SELECT row_to_json(users.*) FROM users ORDER BY id

@star
SELECT to_jsonb(u) - 'id' FROM users u ORDER BY u.id

@star
SELECT json_agg(u ORDER BY u.id) FROM users u

@star
SELECT count(u) FROM users u

@star
SELECT count(u.*) FROM users u

@star
SELECT ROW(u.*) FROM users u ORDER BY u.id

@star
SELECT ROW(u.*, 1) FROM users u ORDER BY u.id

@star
SELECT id FROM users u WHERE u IS NOT NULL ORDER BY id

@star
SELECT id FROM users u WHERE u.* IS NOT NULL ORDER BY id

@star
SELECT u.id FROM users u JOIN users v ON u = v ORDER BY u.id

@star
SELECT u.id FROM users u WHERE u.* = (1, 'Ann', 'ann@x', 30, '2024-01-01') ORDER BY id

@star
SELECT DISTINCT u FROM users u

@star
SELECT id FROM users ORDER BY users

@star
SELECT users::text FROM users ORDER BY id

@star
SELECT COALESCE(v, u) FROM users u LEFT JOIN users v ON v.id = u.id + 1 ORDER BY u.id

@star
@refused
SELECT NULL::users

@star
@refused
SELECT * FROM json_populate_record(NULL::users, '{"id": 1, "{c}": "x"}')

@star
SELECT id, x FROM users, LATERAL (SELECT users) x ORDER BY id

@@ Columns in brackets are no row.

@star
SELECT (t.*), ((users.*)) FROM users t, users WHERE t.id = 2 AND users.id = 3

@star
SELECT ((t).*) FROM users t WHERE id = 2

@star
DELETE FROM users WHERE id = 9 RETURNING (users.*)
