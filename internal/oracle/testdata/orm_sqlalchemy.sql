@@ What SQLAlchemy 1.4 sent, with the columns that the table has here.

SELECT users.id AS users_id, users.{c} AS users_name, users.email AS users_email, users.age AS users_age, users.created_at AS users_created_at FROM users WHERE users.id = 5

SELECT anon_1.id, anon_1.{c}, anon_1.email, anon_1.age, anon_1.created_at, posts_1.id AS id_1, posts_1.user_id, posts_1.total FROM (SELECT users.id AS id, users.{c} AS {c}, users.email AS email, users.age AS age, users.created_at AS created_at FROM users ORDER BY users.id LIMIT 3) AS anon_1 LEFT OUTER JOIN orders AS posts_1 ON anon_1.id = posts_1.user_id ORDER BY anon_1.id, posts_1.id

SELECT users_1.{c}, users_2.{c} AS name_1 FROM users AS users_1 JOIN users AS users_2 ON users_1.id < users_2.id ORDER BY users_1.id, users_2.id LIMIT 4

SELECT anon_1.{c}, anon_1.n FROM (SELECT users.{c} AS {c}, count(orders.id) AS n FROM users LEFT OUTER JOIN orders ON users.id = orders.user_id GROUP BY users.id) AS anon_1 ORDER BY anon_1.n DESC, 1

SELECT substr(users.{c}, 1, 1) AS k, count(*) AS count_1, string_agg(users.{c}, ',' ORDER BY users.{c}) AS string_agg_1 FROM users GROUP BY k HAVING count(*) > 0 ORDER BY k

WITH RECURSIVE r(id, {c}) AS (SELECT users.id AS id, users.{c} AS {c} FROM users WHERE users.id = 1 UNION ALL SELECT users.id AS id, users.{c} AS {c} FROM users JOIN r ON users.id = r.id + 1 WHERE users.id < 4) SELECT r.id, r.{c} FROM r ORDER BY 1

SELECT CASE WHEN (users.{c} = 'Bob Ray') THEN 'B' ELSE users.{c} END AS anon_1, CAST(users.{c} AS VARCHAR(2)) AS {c}, users.{c} || '!' AS anon_2, users.{c} || '?' AS anon_3, coalesce(users.{c}, 'x') AS coalesce_1 FROM users ORDER BY users.id LIMIT 3

SELECT u.id, u.{c} AS n FROM users u WHERE u.{c} = 'third'

SELECT users.{c}, l.total FROM users JOIN LATERAL (SELECT orders.total AS total FROM orders WHERE orders.user_id = users.id ORDER BY orders.id LIMIT 1) AS l ON true ORDER BY users.id
