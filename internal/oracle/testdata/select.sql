@@ Plain reads of the column, in every clause.

SELECT {c} FROM users ORDER BY id

SELECT id, {c}, email FROM users ORDER BY id

SELECT {q} FROM users ORDER BY {q}, id

select {C} from USERS order by ID

SELECT users.{c} FROM users ORDER BY users.id

SELECT public.users.{c} FROM public.users ORDER BY public.users.id

SELECT u.{c} FROM users u ORDER BY u.id

SELECT u.{c} FROM users AS u ORDER BY u.{c}, u.id

SELECT "u"."{c}" FROM "users" AS "u" ORDER BY "u"."id"

SELECT {c} AS x FROM users ORDER BY x, id

SELECT {c} x FROM users ORDER BY x, id

SELECT {c} AS {c} FROM users ORDER BY {c}, id

SELECT {c} AS email, email AS {c} FROM users ORDER BY {c}, id

SELECT email AS {c} FROM users ORDER BY {c}, id

SELECT email AS {c} FROM users ORDER BY users.{c}, id

SELECT email AS {c} FROM users ORDER BY upper({c}), id

SELECT upper({c}) AS {c} FROM users ORDER BY {c}, id

SELECT id AS {other}, {c} FROM users ORDER BY {other}

SELECT id AS {other}, {c} FROM users ORDER BY {c}, id

SELECT id, {c} AS {other} FROM users ORDER BY {other}, id

SELECT {c} FROM users ORDER BY 1, id

SELECT id, {c} FROM users ORDER BY 2 DESC NULLS LAST, 1 DESC

SELECT id, {c} FROM users ORDER BY {c} COLLATE "C" DESC, id

SELECT id FROM users ORDER BY {c}, id

SELECT id FROM users ORDER BY {c} || email, id

SELECT id FROM users ORDER BY length({c}), {c}, id

SELECT id, {c} FROM users ORDER BY {c} USING <, id

SELECT {c}, {c}, upper({c}) FROM users ORDER BY id

@@ Names that PostgreSQL figures out for a target without one.

SELECT {c}::text FROM users ORDER BY id

SELECT {c}::varchar(3) FROM users ORDER BY id

SELECT x.c1::varchar(40), c1::varchar(40), c1::varchar(39), (c1::varchar(40))::varchar(40), CAST(c1::varchar(40) AS varchar(39)), c1::varchar(40)::text, c1::varchar(39)::varchar(40), c1::varchar::varchar(40) FROM (SELECT id, {c} AS c1 FROM users) x ORDER BY id

WITH x AS (SELECT * FROM users) SELECT {c}::varchar(40) FROM x ORDER BY id

SELECT CAST({c} AS text) FROM users ORDER BY id

SELECT CASE WHEN id = 1 THEN 'x' ELSE {c} END FROM users ORDER BY id

SELECT CASE {c} WHEN 'Ann' THEN {c} END FROM users ORDER BY id

SELECT ({c}) FROM users ORDER BY id

SELECT (({c})) FROM users ORDER BY id

SELECT {c} || '' FROM users ORDER BY id

SELECT {c} COLLATE "C" FROM users ORDER BY id

SELECT ({c} COLLATE "C")::text FROM users ORDER BY id

SELECT (SELECT {c}) FROM users ORDER BY id

SELECT (SELECT {c} FROM users u WHERE u.id = users.id) FROM users ORDER BY id

SELECT ARRAY[{c}] FROM users ORDER BY id

SELECT ARRAY[{c}, email] FROM users ORDER BY id

SELECT (ARRAY[{c}])[1] FROM users ORDER BY id

SELECT ROW({c}, id) FROM users ORDER BY id

SELECT COALESCE({c}, email) FROM users ORDER BY id

SELECT NULLIF({c}, 'Ann') FROM users ORDER BY id

SELECT GREATEST({c}, email), LEAST({c}, email) FROM users ORDER BY id

SELECT {c} IS NULL, {c} IS NOT NULL FROM users ORDER BY id

SELECT {c} = 'Ann' FROM users ORDER BY id

SELECT max({c}), min({c}), count({c}), count(DISTINCT {c}) FROM users

SELECT string_agg({c}, ',' ORDER BY {c}, id) FROM users

SELECT array_agg({c} ORDER BY id) FROM users

SELECT string_agg({c}, ',' ORDER BY id) FILTER (WHERE {c} <> 'Ann') FROM users

SELECT count(*) FILTER (WHERE {c} LIKE 'A%') FROM users

SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY {c}) FROM users

SELECT EXTRACT(year FROM created_at), {c} FROM users ORDER BY id

SELECT substring({c} from 1 for 2), trim(both 'A' from {c}), position('n' in {c}), overlay({c} placing 'x' from 1) FROM users ORDER BY id

SELECT shout({c}) FROM users ORDER BY id

SELECT tick(), {c} FROM users ORDER BY id

SELECT {c} AS "Weird Name" FROM users ORDER BY "Weird Name", id

SELECT id + 1, {c} FROM users ORDER BY 1

SELECT json_build_object('n', {c}) FROM users ORDER BY id

@@ Predicates.

SELECT id FROM users WHERE {c} = 'Ann' ORDER BY id

SELECT id FROM users WHERE 'Ann' = {c} ORDER BY id

SELECT id FROM users WHERE {c} <> 'Ann' ORDER BY id

SELECT id FROM users WHERE NOT {c} = 'Ann' ORDER BY id

SELECT id FROM users WHERE ({c} = 'Ann') IS NOT TRUE ORDER BY id

SELECT id FROM users WHERE ({c} = 'Ann') IS UNKNOWN ORDER BY id

SELECT id FROM users WHERE {c} IS NULL ORDER BY id

SELECT id FROM users WHERE {c} IS NOT NULL AND age > 20 ORDER BY id

SELECT id FROM users WHERE {c} IS DISTINCT FROM 'Ann' ORDER BY id

SELECT id FROM users WHERE {c} IS NOT DISTINCT FROM NULL ORDER BY id

SELECT id FROM users WHERE {c} IN ('Ann', 'Bob') ORDER BY id

SELECT id FROM users WHERE {c} NOT IN ('Ann', 'Bob') ORDER BY id

SELECT id FROM users WHERE {c} NOT IN ('Ann', NULL) ORDER BY id

SELECT id FROM users WHERE {c} IN ({c}) ORDER BY id

SELECT id FROM users WHERE 'Ann' IN ({c}, email) ORDER BY id

SELECT id FROM users WHERE {c} BETWEEN 'A' AND 'B' ORDER BY id

SELECT id FROM users WHERE {c} NOT BETWEEN 'A' AND 'B' ORDER BY id

SELECT id FROM users WHERE {c} BETWEEN SYMMETRIC 'C' AND 'A' ORDER BY id

SELECT id FROM users WHERE {c} LIKE 'A%' ORDER BY id

SELECT id FROM users WHERE {c} NOT LIKE 'A%' ORDER BY id

SELECT id FROM users WHERE {c} ILIKE 'a%' ORDER BY id

SELECT id FROM users WHERE {c} SIMILAR TO 'A(n|b)+' ORDER BY id

SELECT id FROM users WHERE {c} LIKE '%!_%' ESCAPE '!' ORDER BY id

SELECT id FROM users WHERE {c} ~ '^A' ORDER BY id

SELECT id FROM users WHERE {c} !~* '^a' ORDER BY id

SELECT id FROM users WHERE {c} = ANY (ARRAY['Ann', 'Bob']) ORDER BY id

SELECT id FROM users WHERE {c} = ANY ('{Ann,Bob}') ORDER BY id

SELECT id FROM users WHERE {c} <> ALL (ARRAY['Ann', 'Bob']) ORDER BY id

SELECT id FROM users WHERE {c} > 'B' AND {c} < 'a' OR {c} = 'Ann' AND id > 1 ORDER BY id

SELECT id FROM users WHERE {c} = email OR {c} < email ORDER BY id

SELECT id FROM users WHERE {c} = {c} ORDER BY id

SELECT id FROM users WHERE ({c}, id) = ('Ann', 1) ORDER BY id

SELECT id FROM users WHERE ({c}, id) > ('Ann', 1) ORDER BY id

SELECT id FROM users WHERE ({c}, age) IN (('Ann', 30), ('Bob', 25)) ORDER BY id

SELECT id FROM users WHERE (id, {c}) IN (SELECT user_id, name FROM orders) ORDER BY id

SELECT id FROM users WHERE ROW({c}, id) IS NULL ORDER BY id

SELECT id FROM users WHERE lower({c}) = 'ann' ORDER BY id

SELECT id FROM users WHERE {c}::text = 'Ann' ORDER BY id

SELECT id FROM users WHERE {c} = 'Ann'::text ORDER BY id

SELECT id FROM users WHERE {c} = 'Ann'::varchar(2) ORDER BY id

SELECT id FROM users WHERE {c} || 'x' = 'Annx' ORDER BY id

SELECT id FROM users WHERE length({c}) > 3 ORDER BY id

SELECT id FROM users WHERE CASE WHEN {c} ~ '^\d+$' THEN {c}::int > 40 ELSE false END ORDER BY id

SELECT id FROM users WHERE - length({c}) < 0 ORDER BY id

SELECT id FROM users WHERE {c} COLLATE "C" < 'B' ORDER BY id

SELECT id FROM users WHERE {c} = 'Ann' AND {c} = 'Ann' AND ({c} = 'Ann') ORDER BY id

SELECT id FROM users WHERE ({c} = 'Ann') = true ORDER BY id

SELECT id FROM users WHERE ({c} = 'Ann')::int = 1 ORDER BY id

SELECT id FROM users WHERE {c} = 'Ann' = true ORDER BY id

SELECT ({c} = 'Ann') IS NULL AS n, count(*) FROM users GROUP BY n ORDER BY n

@@ Grouping, windows, distinct.

SELECT {c}, count(*) FROM users GROUP BY {c} ORDER BY {c}

SELECT {c}, count(*) FROM users GROUP BY 1 ORDER BY 1

SELECT {c} AS n, count(*) FROM users GROUP BY n ORDER BY n

SELECT {c} AS email, count(*) FROM users GROUP BY {c} ORDER BY 1

SELECT upper({c}), count(*) FROM users GROUP BY upper({c}) ORDER BY upper({c})

SELECT upper({c}) AS {c}, count(*) FROM users GROUP BY 1 ORDER BY {c}

SELECT {c}, age, count(*) FROM users GROUP BY {c}, age HAVING count(*) > 0 AND max({c}) > 'A' ORDER BY {c}, age

SELECT count(*) FROM users HAVING max({c}) > 'A'

SELECT {c} FROM users GROUP BY {c} HAVING {c} > 'A' ORDER BY {c}

SELECT id, {c} FROM users GROUP BY id ORDER BY id

SELECT u.id, u.{c}, count(o.id) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY u.id

SELECT {c}, age, count(*) FROM users GROUP BY ROLLUP ({c}, age) ORDER BY {c}, age, 3

SELECT {c}, age, count(*) FROM users GROUP BY GROUPING SETS (({c}), (age), ()) ORDER BY {c}, age, 3

SELECT {c}, grouping({c}), count(*) FROM users GROUP BY CUBE ({c}) ORDER BY {c}, 2

SELECT DISTINCT {c} FROM users ORDER BY {c}

SELECT DISTINCT {c}, age FROM users ORDER BY {c}, age

SELECT DISTINCT upper({c}) FROM users ORDER BY upper({c})

SELECT DISTINCT upper({c}) AS {c} FROM users ORDER BY {c}

SELECT DISTINCT ON ({c}) {c}, id FROM users ORDER BY {c}, id DESC

SELECT DISTINCT ON ({c}) id FROM users ORDER BY {c}, id

SELECT DISTINCT ON (upper({c})) id, {c} FROM users ORDER BY upper({c}), id

SELECT id, rank() OVER (ORDER BY {c}) FROM users ORDER BY id

SELECT id, count(*) OVER (PARTITION BY {c}) FROM users ORDER BY id

SELECT id, first_value({c}) OVER w, last_value({c}) OVER w FROM users WINDOW w AS (PARTITION BY age ORDER BY {c}, id) ORDER BY id

SELECT id, lag({c}) OVER (ORDER BY id) FROM users ORDER BY id

SELECT id, {c} FROM users ORDER BY rank() OVER (ORDER BY {c} DESC), id

@@ Locks, limits.

SELECT id, {c} FROM users WHERE id = 1 FOR UPDATE

SELECT id, {c} FROM users WHERE {c} = 'Ann' ORDER BY id FOR NO KEY UPDATE

SELECT u.{c} FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id FOR UPDATE OF u

SELECT u.{c} FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id FOR SHARE OF u FOR KEY SHARE OF o

SELECT {c} FROM users ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED

SELECT {c} FROM users ORDER BY {c}, id LIMIT 3 OFFSET 2

SELECT {c} FROM users ORDER BY {c}, id FETCH FIRST 3 ROWS ONLY

SELECT {c} FROM users ORDER BY {c} FETCH FIRST 1 ROWS WITH TIES

SELECT id FROM users ORDER BY id LIMIT (SELECT count(*) FROM users WHERE {c} = 'Ann')

SELECT {c} FROM ONLY users ORDER BY id

SELECT {c} FROM users * ORDER BY id

SELECT {c} FROM users TABLESAMPLE BERNOULLI (100) ORDER BY id

@star
TABLE users

@star
TABLE users ORDER BY {c}, id

@@ Targets without columns, rows counted, names that only look like it.

SELECT count(*) FROM users

SELECT 1 FROM users WHERE id < 3

SELECT FROM users WHERE id < 3

SELECT 'users', '{c}' FROM users WHERE id = 1

SELECT name FROM orders ORDER BY id

SELECT full_name FROM people ORDER BY id

SELECT 'users' AS t, name FROM orders ORDER BY id

SELECT name, full_name FROM orders, people /* users */ WHERE orders.id = people.id ORDER BY orders.id

SELECT 1 AS users

SELECT users FROM (SELECT 1 AS users) x

SELECT {c} FROM (SELECT 'a' AS {c}) users

SELECT users.{c} FROM (SELECT 'a' AS {c}, 'b' AS {other}) users

SELECT {c} FROM (VALUES ('a')) AS users({c})

SELECT users FROM orders AS users WHERE users.id = 1

SELECT users.name FROM orders AS users ORDER BY users.id

@@ Aliases that take the migrating names.

SELECT {c}.{c} FROM users AS {c} ORDER BY {c}.id

SELECT {other}.{c} FROM users AS {other} ORDER BY {other}.id

SELECT {c} FROM users AS {c} ORDER BY id

@star
SELECT u.a, u.b FROM users AS u(a, b) ORDER BY u.a

@star
SELECT u.* FROM users AS u(a, b, c, d, e) ORDER BY u.a

@star
SELECT u.b FROM users AS u(a, b, c, d, e, f) ORDER BY u.a

@@ Odds and ends.

SELECT ALL {c} FROM users ORDER BY id

SELECT {c} FROM users ORDER BY {c} IS NULL, {c}, id

SELECT {c} FROM users ORDER BY CASE WHEN {c} = 'Bob' THEN 0 ELSE 1 END, id

SELECT id, sum(length({c})) OVER (PARTITION BY {c} ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM users ORDER BY id

SELECT DISTINCT ON (1) {c}, id FROM users ORDER BY 1, 2

SELECT tableoid::regclass, {c} FROM users ORDER BY id

SELECT id FROM users WHERE (id, {c}) = (SELECT id, {c} FROM users WHERE id = 1)

SELECT id FROM users WHERE {c} LIKE ANY (ARRAY['A%', 'B%']) ORDER BY id

SELECT id FROM users WHERE {c} = SOME (ARRAY['Ann', 'Bob']) ORDER BY id

SELECT id FROM users WHERE {c} OPERATOR(pg_catalog.=) 'Ann' ORDER BY id

SELECT format('%s-%s', {c}, VARIADIC ARRAY[id::text]) FROM users ORDER BY id

SELECT id FROM users, unnest(ARRAY[{c}]) AS x WHERE x = users.{c} ORDER BY id

SELECT u.id, x.{c} FROM users u, unnest(ARRAY[u.{c}]) AS x({c}) ORDER BY u.id

SELECT u.id, l.{c} FROM users u, LATERAL (SELECT u.{c} || '!') AS l({c}) ORDER BY u.id

SELECT x.{c} FROM (users u JOIN (SELECT id AS i FROM orders) o ON o.i = u.id) AS x ORDER BY x.i

@origins any
SELECT id FROM users WHERE {c} = tick()
---
SELECT last_value FROM ticks

SELECT id FROM users WHERE {c} = 'x' || random()
---
SELECT random()

@origins any
SELECT CASE WHEN {c} = tick() THEN 1 END FROM users ORDER BY id
---
SELECT last_value FROM ticks

SELECT {c} FROM users WHERE id < 5 GROUP BY {c}, id HAVING NOT ({c} = 'Ann') ORDER BY id

SELECT bool_and({c} = 'Ann'), every({c} <> 'x') FROM users

SELECT id, {c} = 'Ann' AND age > 20 FROM users ORDER BY {c} = 'Ann', id

SELECT {c} = 'Ann', count(*) FROM users GROUP BY {c} = 'Ann' ORDER BY 1

SELECT {c} = 'Ann', count(*) FROM users GROUP BY 1 ORDER BY 1

SELECT count(*) FROM users GROUP BY {c} HAVING {c} = 'Ann' OR count(*) > 1 ORDER BY 1

SELECT id FROM users u WHERE CASE WHEN NOT u.{c} = 'Ann' THEN true ELSE false END ORDER BY id

SELECT id FROM users WHERE ({c} = 'Ann') = (email = 'ann@x') ORDER BY id

SELECT id FROM users WHERE NOT ({c} = 'Ann' AND id < 3) ORDER BY id

SELECT id FROM users WHERE NOT ({c} = 'Ann' OR id < 3) ORDER BY id

SELECT id FROM users WHERE NOT EXISTS (SELECT 1 FROM orders WHERE name = users.{c}) ORDER BY id

SELECT u.id, v.id FROM users u FULL JOIN users v ON u.{c} = v.{c} AND u.id < v.id ORDER BY 1, 2

SELECT u.id, v.id FROM users u LEFT JOIN users v ON NOT u.{c} = v.{c} AND v.id < 3 ORDER BY 1, 2

SELECT users.id, users.email FROM users JOIN orders USING (id) GROUP BY users.id ORDER BY 1

@refused
@only old
SELECT users.id, users.email FROM users JOIN orders USING (name) GROUP BY users.id ORDER BY 1

@refused
@only new
SELECT users.id, users.email FROM users JOIN people USING (full_name) GROUP BY users.id ORDER BY 1

@refused
@only old
SELECT users.id FROM users JOIN orders USING (name) ORDER BY users.id FOR UPDATE OF users

@star
SELECT u FROM users u GROUP BY u.id ORDER BY u.id

@star
SELECT count(DISTINCT u) FROM users u

@star
SELECT u.id, u IS NULL, v IS NOT NULL FROM users u LEFT JOIN users v ON v.id = u.id + 1 ORDER BY u.id

@refused
@star
SELECT array_agg(u ORDER BY id) FROM users u WHERE id < 3

@star
SELECT (SELECT u) FROM users u ORDER BY id

@refused
@star
SELECT x.u FROM (SELECT u FROM users u) x ORDER BY (x.u).id

@refused
@star
SELECT (x.u).{c} FROM (SELECT u FROM users u) x ORDER BY (x.u).id
