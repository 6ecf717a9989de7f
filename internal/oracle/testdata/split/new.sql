@@ The table that the columns leave, without them.

@star
SELECT * FROM users ORDER BY id

@star
SELECT u.*, o.total FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id

SELECT u.email FROM users u WHERE u.id = 3

@auto none
SELECT address FROM users

@auto none
SELECT u.phone FROM users u

@auto none
SELECT row_to_json(u) FROM users u ORDER BY u.id

@auto none
SELECT u FROM users u WHERE u.id = 1

@star
@fails 23502 a row needs a value in the table that the columns leave, too
INSERT INTO users VALUES (50, 'x@y', 3)

@auto none
@variants cascading, referring
INSERT INTO users (email) VALUES ('fifty@x'), ('fiftyone@x') RETURNING id, email

@auto none
@variants cascading, referring
INSERT INTO users DEFAULT VALUES RETURNING id

@auto none
@variants cascading, referring
INSERT INTO users (id, email) SELECT id + 200, name FROM orders WHERE name <> 'Ann'

@auto none
@variants cascading, referring
INSERT INTO users (id, email) SELECT 300, 'a' UNION SELECT 301, 'b'

@auto none
@variants cascading, referring
@params ["60", "sixty@x"]
INSERT INTO users (id, email) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email RETURNING *

@auto none
INSERT INTO users (id, address) VALUES (60, 'x')

UPDATE users SET age = age + 1 WHERE id < 5 RETURNING id, age

@auto none
UPDATE users SET address = 'x' WHERE id = 1

@auto none
@variants cascading, referring
UPDATE users SET id = 70 WHERE id = 12

@auto none
@variants referring
UPDATE users SET id = 70 WHERE id = 6

@auto none
@variants referring, cascading
UPDATE users SET id = id, age = 3 WHERE id = 1

@auto none
@fails 23503 which of two foreign keys is told can differ
@variants referring
UPDATE users SET id = id + 100 WHERE id IN (SELECT user_id FROM orders)

@auto none
@variants cascading
DELETE FROM users WHERE id = 1 RETURNING email

@auto none
@variants cascading
DELETE FROM users

@auto none
@variants referring
DELETE FROM users WHERE id = 4

@auto none
@variants referring
DELETE FROM users WHERE id = 6

@auto none
@variants referring
DELETE FROM users WHERE id < 4 AND dear(email)

@auto none
@variants referring
UPDATE users SET id = id + 100 WHERE coalesce(dear(email), false)

@auto none
@variants referring
DELETE FROM users WHERE id = 6 AND EXISTS (SELECT 1 FROM people) AND id NOT IN (SELECT user_id FROM orders WHERE user_id IS NOT NULL)

@auto none
@variants referring
DELETE FROM users u USING people p WHERE u.id = p.id + 3

@auto none
@variants referring
DELETE FROM users WHERE NOT EXISTS (SELECT 1 FROM addresses a WHERE a.user_id = users.id)

@auto none
@variants referring
DELETE FROM users WHERE id IN (SELECT id FROM people WHERE full_name = 'nobody')

@@ The new table, read.

SELECT * FROM addresses ORDER BY user_id

SELECT user_id, address AS a, number FROM addresses WHERE address = 'Ann' ORDER BY 1

SELECT u.id, u.email, a.address FROM users u LEFT JOIN addresses a ON a.user_id = u.id ORDER BY u.id

SELECT * FROM users u JOIN addresses a ON a.user_id = u.id ORDER BY u.id

SELECT a.*, u.* FROM addresses a JOIN users u ON u.id = a.user_id WHERE u.age > 30 ORDER BY 1

SELECT a FROM addresses a WHERE user_id = 1

SELECT row_to_json(a) FROM addresses a ORDER BY user_id

SELECT count(*), max(address), min(number) FROM addresses

SELECT address, count(*) FROM addresses GROUP BY address HAVING count(*) > 1 ORDER BY 1

SELECT user_id, address FROM addresses GROUP BY user_id ORDER BY user_id

@params ["Ann"]
SELECT user_id FROM addresses WHERE address = $1 ORDER BY 1

SELECT id FROM users WHERE id IN (SELECT user_id FROM addresses WHERE number IS NOT NULL) ORDER BY 1

WITH a AS (SELECT * FROM addresses WHERE user_id < 4) SELECT a.address, users.email FROM a JOIN users ON users.id = a.user_id ORDER BY 1, 2

SELECT nosuch FROM addresses

SELECT u.address FROM users u JOIN addresses a ON a.user_id = u.id

SELECT address FROM users JOIN addresses ON user_id = id ORDER BY 1

TABLE addresses

@simple
COPY addresses TO STDOUT

@simple
COPY (SELECT address, user_id FROM addresses ORDER BY user_id) TO STDOUT WITH CSV HEADER

EXPLAIN (COSTS off) SELECT * FROM addresses WHERE user_id = 1

@simple
DECLARE c CURSOR FOR SELECT * FROM addresses ORDER BY user_id
---
@simple
FETCH 3 FROM c
---
FETCH ALL FROM c

@simple
PREPARE p AS SELECT address FROM addresses WHERE user_id = $1
---
EXECUTE p (1)

@@ INSERT.

INSERT INTO addresses VALUES (6, 'Null Street', NULL)

INSERT INTO addresses (user_id, address) VALUES (6, 'x') RETURNING *

@params ["6", "Main St", "07"]
INSERT INTO addresses (user_id, address, number) VALUES ($1, $2, $3) RETURNING user_id

INSERT INTO addresses (user_id, address) VALUES (1, 'again')

INSERT INTO addresses (user_id, address) VALUES (1, 'again'), (6, 'new') ON CONFLICT DO NOTHING

INSERT INTO addresses (user_id, address) VALUES (1, 'again'), (6, 'new') ON CONFLICT (user_id) DO UPDATE SET address = EXCLUDED.address || '!' RETURNING user_id, address

INSERT INTO addresses AS a VALUES (1, 'again') ON CONFLICT (user_id) DO UPDATE SET address = 'x' WHERE a.address = 'Ann'

INSERT INTO addresses (user_id, address) SELECT id, 'moved in' FROM users WHERE id NOT IN (SELECT user_id FROM addresses)

@fails 23503 a row without one that it belongs to has no form on the other side
INSERT INTO addresses (user_id, address) VALUES (999, 'nowhere')

INSERT INTO addresses (user_id, address) VALUES (6, tick())

@fails 0A000 a row whose columns are all NULL has no form on the other side
@refused
INSERT INTO addresses (user_id) VALUES (6)

@fails 0A000 a row whose columns are all NULL has no form on the other side
@refused
INSERT INTO addresses DEFAULT VALUES

INSERT INTO addresses (user_id, address) VALUES (6, 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG')

@auto none
@variants cascading, referring
WITH u AS (INSERT INTO users (id, email) VALUES (80, 'eighty@x') RETURNING id) INSERT INTO addresses (user_id, address) SELECT id, 'Road' FROM u RETURNING *

@auto none
INSERT INTO users (id, email) VALUES (81, 'x81')
---
INSERT INTO addresses (user_id, address) VALUES (81, 'Lane')
---
SELECT u.id, a.address FROM users u JOIN addresses a ON a.user_id = u.id WHERE u.id = 81

@@ UPDATE.

UPDATE addresses SET address = 'x' WHERE user_id = 1 RETURNING *

@params ["x", "1"]
UPDATE addresses SET address = $1 WHERE user_id = $2

@params ["x", "Ann"]
UPDATE addresses SET number = $1 WHERE address = $2 OR number = $1 RETURNING user_id

UPDATE addresses SET address = address || '!', number = NULL

UPDATE addresses SET (address, number) = ('a', 'b') WHERE user_id = 2

UPDATE addresses SET (address, number) = (SELECT email, age::text FROM users WHERE id = user_id) WHERE user_id = 2

UPDATE addresses a SET address = u.email FROM users u WHERE u.id = a.user_id AND u.age > 30 AND u.email IS NOT NULL RETURNING a.user_id, u.age

UPDATE addresses SET address = 'x' FROM orders o LEFT JOIN people p ON p.id = o.id WHERE o.user_id = addresses.user_id AND p.id IS NULL

UPDATE addresses SET address = 'x' FROM (SELECT 1 AS one) s, generate_series(1, 3) g, LATERAL (SELECT g AS h) l WHERE user_id = h

UPDATE addresses SET address = 'x' WHERE user_id IN (SELECT id FROM users WHERE age > 30) RETURNING user_id

UPDATE addresses SET address = 'x' WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = addresses.user_id) AND NOT EXISTS (SELECT 1 FROM people p WHERE p.id = addresses.user_id)

UPDATE addresses SET address = 'x' WHERE user_id = ANY (SELECT user_id FROM orders) IS NOT TRUE

UPDATE addresses SET address = 'x' WHERE (SELECT count(*) FROM orders o WHERE o.user_id = addresses.user_id) > 1 AND address = 'Ann'

UPDATE addresses SET address = DEFAULT WHERE number IS NOT NULL

@fails 0A000 a row whose columns are all NULL has no form on the other side
@refused
@variants cascading, referring
UPDATE addresses SET address = NULL, number = NULL WHERE user_id = 1

@variants cascading, referring
UPDATE addresses SET user_id = 6 WHERE user_id = 2 RETURNING *

@variants cascading, referring
@params ["6", "2"]
UPDATE addresses SET user_id = $1 WHERE user_id = $2

UPDATE addresses SET user_id = user_id

UPDATE addresses SET nosuch = 1

UPDATE addresses SET address = 'x' WHERE nosuch = 1

UPDATE addresses SET address = 1/(user_id - 3) WHERE user_id = 3

UPDATE addresses SET address = 'x' WHERE CASE WHEN user_id = 1 THEN true END RETURNING CASE WHEN true THEN 'y' END

UPDATE addresses SET address = tick() WHERE user_id < 4

@@ DELETE.

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE user_id = 1

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE address = 'Ann' RETURNING *

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM public.addresses AS a USING orders o WHERE o.user_id = a.user_id RETURNING a.address, o.id

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE user_id NOT IN (SELECT id FROM people) AND NOT (address IS NULL)

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE NOT EXISTS (SELECT 1 FROM orders WHERE orders.user_id = addresses.user_id)

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE (user_id, address) IN (SELECT max(user_id), address FROM addresses GROUP BY address HAVING count(*) > 1)

@fails 23502 a row needs a value in the table that the columns leave, too
WITH gone AS (DELETE FROM addresses WHERE user_id < 3 RETURNING *) SELECT * FROM gone ORDER BY user_id

@fails 23502 a row needs a value in the table that the columns leave, too
WITH gone AS (DELETE FROM addresses WHERE user_id = 2 RETURNING *) UPDATE users SET email = gone.address FROM gone WHERE users.id = gone.user_id

DELETE FROM addresses WHERE user_id = 1
---
INSERT INTO addresses (user_id, address) VALUES (1, 'back')
---
SELECT * FROM addresses WHERE user_id = 1

@@ MERGE.

MERGE INTO addresses a USING (VALUES (1, 'one'), (6, 'six')) AS s (id, x) ON s.id = a.user_id WHEN MATCHED THEN UPDATE SET address = s.x WHEN NOT MATCHED THEN INSERT (user_id, address) VALUES (s.id, s.x)

@fails 23502 a row needs a value in the table that the columns leave, too
MERGE INTO addresses a USING orders o ON o.user_id = a.user_id AND o.id <> 2 WHEN MATCHED AND o.total > 8 OR o.total IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET number = o.total::text

@fails 23502 a row needs a value in the table that the columns leave, too
MERGE INTO addresses USING people p ON p.id = addresses.user_id WHEN MATCHED AND addresses.address = 'Ann' THEN DO NOTHING WHEN MATCHED THEN DELETE

@auto none
@variants cascading
MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN DELETE

@auto none
@variants referring
MERGE INTO users USING people p ON p.id + 3 = users.id WHEN MATCHED AND users.age = 60 THEN DELETE WHEN MATCHED AND users.id = 6 THEN UPDATE SET id = 77

@@ Locking.

SELECT * FROM addresses WHERE user_id = 1 FOR UPDATE

SELECT user_id, address FROM addresses ORDER BY address, user_id LIMIT 2 FOR UPDATE SKIP LOCKED

SELECT a.*, u.email FROM users u JOIN addresses a ON a.user_id = u.id WHERE u.id < 4 ORDER BY 1 FOR SHARE OF a NOWAIT

SELECT u.id, a.address FROM users u LEFT JOIN addresses a ON a.user_id = u.id ORDER BY 1 FOR UPDATE OF u

SELECT u.id, a.address FROM users u LEFT JOIN addresses a ON a.user_id = u.id FOR UPDATE

SELECT * FROM addresses a JOIN orders o USING (user_id) ORDER BY o.id FOR NO KEY UPDATE

SELECT x.address FROM (SELECT address, user_id FROM addresses WHERE user_id < 5) x ORDER BY user_id FOR UPDATE

SELECT x.* FROM (SELECT * FROM addresses WHERE user_id < 5) x, people p WHERE p.id = x.user_id ORDER BY 1 FOR KEY SHARE

WITH q AS (SELECT user_id FROM addresses ORDER BY user_id LIMIT 1 FOR UPDATE) UPDATE addresses SET number = 'taken' FROM q WHERE addresses.user_id = q.user_id RETURNING addresses.*

@fails 23502 a row needs a value in the table that the columns leave, too
DELETE FROM addresses WHERE user_id = (SELECT user_id FROM addresses WHERE address = 'Ann' ORDER BY user_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING user_id

SELECT count(*) FROM addresses FOR UPDATE

@auto none
SELECT address FROM addresses a (k, b) WHERE k = 1 FOR UPDATE

SELECT b, k FROM addresses a (k, b) WHERE k = 1 FOR UPDATE

SELECT a.ctid IS NULL FROM addresses a WHERE user_id = 1 FOR UPDATE

SELECT a.address, b.address FROM addresses a, addresses b WHERE a.user_id = 1 AND b.user_id = 2 FOR UPDATE OF b

@params ["1"]
SELECT address FROM addresses WHERE user_id = $1 FOR UPDATE

@simple
DECLARE c CURSOR FOR SELECT * FROM addresses WHERE user_id < 4 ORDER BY user_id FOR UPDATE
---
FETCH 2 FROM c
---
UPDATE addresses SET address = 'here' WHERE CURRENT OF c
---
DELETE FROM addresses WHERE CURRENT OF c
---
SELECT * FROM addresses WHERE user_id < 4 ORDER BY 1

@@ Others.

@fails 23502 a row needs a value in the table that the columns leave, too
TRUNCATE addresses

@auto none
@variants cascading, referring
TRUNCATE users

@variants cascading, referring
TRUNCATE users, addresses, orders

@variants cascading, referring
@auto none
@known the order of the notices is that of the tables' OIDs
TRUNCATE users CASCADE

SELECT * FROM nosuch, addresses
