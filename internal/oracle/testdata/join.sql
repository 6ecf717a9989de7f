SELECT u.{c}, o.total FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id

SELECT u.{c}, o.name FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id

SELECT u.{c}, o.name FROM users u INNER JOIN orders o ON o.name = u.{c} ORDER BY u.id, o.id

SELECT u.{c}, o.name FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.id

SELECT u.{c}, o.name FROM users u RIGHT JOIN orders o ON o.user_id = u.id ORDER BY o.id

SELECT u.{c}, o.name FROM users u FULL JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.id

SELECT u.{c}, o.name FROM users u CROSS JOIN orders o ORDER BY u.id, o.id

SELECT users.{c}, orders.name FROM users, orders WHERE users.id = orders.user_id ORDER BY orders.id

SELECT total FROM users JOIN orders ON user_id = users.id WHERE users.{c} = 'Ann' ORDER BY orders.id

SELECT u.{c}, v.{c} FROM users u JOIN users v ON u.{c} = v.{c} ORDER BY u.id, v.id

SELECT u.{c}, v.{c} FROM users u LEFT JOIN users v ON u.{c} < v.{c} AND u.id = v.id - 1 ORDER BY u.id, v.id

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.{c} = 'Ann' WHERE o.id IS NOT NULL ORDER BY o.id

SELECT COALESCE(u.{c}, '?') FROM orders o LEFT JOIN users u ON u.id = o.user_id ORDER BY o.id

SELECT o.id FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE u.{c} IS NULL ORDER BY o.id

SELECT o.id FROM orders o LEFT JOIN users u ON u.id = o.user_id AND u.{c} IS NULL ORDER BY o.id

SELECT a.{c}, b.{c}, c.{c} FROM users a, users b, users c WHERE a.id = b.id AND b.id = c.id ORDER BY 1, a.id

SELECT p.full_name, u.{c} FROM people p JOIN users u ON p.id = u.id ORDER BY p.id

SELECT people.full_name FROM people JOIN users ON people.id = users.id WHERE users.{c} > 'A' ORDER BY people.id

SELECT u.{c} FROM (users u JOIN orders o ON o.user_id = u.id) JOIN people p ON p.id = u.id ORDER BY o.id

SELECT x.total FROM (users u JOIN orders o ON o.user_id = u.id) AS x ORDER BY x.total

@@ The same name in both tables: ambiguous for one side's code or for none.

SELECT {c} FROM users JOIN orders ON user_id = users.id ORDER BY orders.id

SELECT name FROM users JOIN orders ON user_id = users.id ORDER BY orders.id

SELECT full_name FROM users JOIN people ON users.id = people.id ORDER BY people.id

SELECT {c} FROM users u JOIN people p ON u.id = p.id ORDER BY p.id

SELECT total, {c} FROM users, orders WHERE users.id = user_id ORDER BY orders.id

@@ USING and NATURAL, over columns that migrate and others.

SELECT id FROM users JOIN orders USING (id) ORDER BY id

SELECT users.{c}, orders.name FROM users JOIN orders USING (id) ORDER BY id

SELECT u.{c} FROM users u JOIN people p USING (id) ORDER BY id

SELECT {c} FROM users JOIN (SELECT 'Ann' AS {c}) x USING ({c}) ORDER BY users.id

@only old
SELECT name, users.id, orders.id FROM users JOIN orders USING (name) ORDER BY 1, 2, 3

@only new
SELECT full_name, users.id, people.id FROM users JOIN people USING (full_name) ORDER BY 1, 2, 3

SELECT {c} FROM users u JOIN users v USING ({c}) ORDER BY {c}, u.id, v.id

SELECT u.{c}, v.{c} FROM users u LEFT JOIN users v USING (id, {c}) ORDER BY id

SELECT j.{c} FROM users u JOIN users v USING (id) AS j ORDER BY id

@star
SELECT * FROM users u FULL JOIN users v USING ({c}, id) ORDER BY id

@auto refused
SELECT count(*) FROM users NATURAL JOIN orders

@auto refused
SELECT count(*) FROM users NATURAL JOIN people

@star
@auto refused
SELECT * FROM users NATURAL JOIN people ORDER BY id

@star
@auto refused
SELECT * FROM users NATURAL LEFT JOIN orders ORDER BY id

@auto refused
SELECT count(*) FROM users u NATURAL JOIN users v

SELECT users.{c} FROM users NATURAL JOIN (SELECT 1 AS id) x

SELECT {c} FROM users NATURAL JOIN (SELECT 1 AS id) x
