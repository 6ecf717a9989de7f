SELECT id FROM users WHERE {c} = (SELECT {c} FROM users WHERE id = 1) ORDER BY id

SELECT id FROM users WHERE {c} IN (SELECT {c} FROM users WHERE age > 30) ORDER BY id

SELECT id FROM users WHERE {c} NOT IN (SELECT {c} FROM users WHERE age > 30) ORDER BY id

SELECT id FROM users WHERE {c} IN (SELECT name FROM orders) ORDER BY id

SELECT id FROM users WHERE {c} NOT IN (SELECT name FROM orders WHERE name IS NOT NULL) ORDER BY id

@auto refused
SELECT id FROM orders WHERE name IN (SELECT {c} FROM users) ORDER BY id

@auto refused
SELECT id FROM people WHERE full_name IN (SELECT {c} FROM users) ORDER BY id

SELECT id FROM people WHERE full_name IN (SELECT u.{c} FROM users u) ORDER BY id

SELECT id FROM users WHERE {c} = ANY (SELECT name FROM orders) ORDER BY id

SELECT id FROM users WHERE {c} > ALL (SELECT name FROM orders WHERE name < 'C') ORDER BY id

SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.name = u.{c}) ORDER BY id

SELECT id FROM users u WHERE NOT EXISTS (SELECT FROM users v WHERE v.{c} = u.{c} AND v.id < u.id) ORDER BY id

@auto refused
SELECT (SELECT {c} FROM users WHERE users.id = o.user_id) FROM orders o ORDER BY o.id

SELECT (SELECT u.{c} FROM users u WHERE u.id = o.user_id) AS who FROM orders o ORDER BY who, o.id

@auto refused
SELECT (SELECT max({c}) FROM users), id FROM orders ORDER BY id

@auto refused
SELECT (SELECT count(*) FROM users WHERE {c} = o.name) FROM orders o ORDER BY o.id

@auto refused
SELECT (SELECT count(*) FROM users WHERE {c} = name) FROM orders ORDER BY id

@auto refused
SELECT id, (SELECT count(*) FROM users WHERE name = 'Ann') FROM orders ORDER BY id

SELECT ARRAY(SELECT {c} FROM users ORDER BY id)

SELECT ARRAY(SELECT u.{c} FROM users u WHERE u.id = o.user_id) FROM orders o ORDER BY o.id

SELECT x.{c} FROM (SELECT {c} FROM users) x ORDER BY x.{c}

SELECT {c} FROM (SELECT {c}, id FROM users) x ORDER BY id

SELECT {c} FROM (SELECT {c} AS {c}, id FROM users) x ORDER BY id

SELECT y FROM (SELECT {c} AS y, id FROM users) x ORDER BY id

SELECT {other} FROM (SELECT {c} AS {other}, id FROM users) x ORDER BY id

SELECT x.n FROM (SELECT {c} FROM users) AS x(n) ORDER BY 1

SELECT {c} FROM (SELECT id AS {c} FROM users) x ORDER BY 1

SELECT {c} FROM (SELECT {c} FROM users UNION SELECT name FROM orders) x ORDER BY 1

SELECT x.{c}, o.name FROM (SELECT id, {c} FROM users WHERE age > 20) x JOIN orders o ON o.user_id = x.id ORDER BY o.id

SELECT u.id, l.x FROM users u, LATERAL (SELECT u.{c} AS x) l ORDER BY u.id

SELECT u.id, l.{c} FROM users u, LATERAL (SELECT u.{c}) l ORDER BY u.id

SELECT u.id, l.{c} FROM users u CROSS JOIN LATERAL (SELECT {c} FROM users v WHERE v.id = u.id) l ORDER BY u.id

SELECT u.id, l.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.name = u.{c}) l ON true ORDER BY u.id

SELECT id, x FROM users, unnest(ARRAY[{c}, email]) AS x ORDER BY id, x

SELECT id, x FROM users, LATERAL unnest(string_to_array({c}, 'n')) WITH ORDINALITY AS y(x, n) ORDER BY id, n

SELECT id, g FROM users, generate_series(1, length({c})) g WHERE id < 4 ORDER BY id, g

SELECT u.id, v FROM users u, LATERAL (VALUES (u.{c}), (u.email)) AS t(v) ORDER BY u.id, v

SELECT id FROM users u WHERE (SELECT count(*) FROM (SELECT 1 FROM users v WHERE v.{c} = u.{c}) x) > 1 ORDER BY id

SELECT id FROM users u WHERE id = (SELECT max(id) FROM users WHERE {c} = u.{c}) ORDER BY id

SELECT (SELECT (SELECT u.{c})) FROM users u ORDER BY id

SELECT id FROM users WHERE EXISTS (SELECT 1 WHERE {c} = 'Ann') ORDER BY id

@auto refused
SELECT CASE WHEN EXISTS (SELECT 1 FROM users WHERE {c} = o.name) THEN 1 ELSE 0 END FROM orders o ORDER BY o.id

@@ Names that a physical column of the other name would capture.

SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = p.id AND u.{c} = full_name) ORDER BY id

@auto refused
SELECT p.id, (SELECT count(*) FROM users WHERE age > 20 AND full_name = 'Ann') FROM people p ORDER BY p.id

@auto refused
SELECT (SELECT full_name FROM users u WHERE u.id = 1) FROM people ORDER BY people.id

@auto refused
SELECT (SELECT max(full_name) FROM users) FROM people GROUP BY people.id ORDER BY people.id

SELECT p.id, (SELECT max(u.{c}) FROM users u WHERE u.{c} <= full_name) FROM people p ORDER BY p.id

@auto refused
SELECT id, (SELECT count(*) FROM users WHERE {c} = full_name) FROM people ORDER BY id

@auto refused
SELECT l.x FROM people, LATERAL (SELECT full_name AS x FROM users WHERE users.id = people.id) l ORDER BY 1

@auto refused
SELECT o.id, (SELECT name FROM users u WHERE u.id = o.user_id) FROM orders o ORDER BY o.id

@auto refused
SELECT id, (SELECT min(name) FROM users) FROM orders GROUP BY id ORDER BY id
