@@ EXPLAIN, cursors, prepared statements, and what is neither read nor write.

@rows any
EXPLAIN SELECT {c} FROM users WHERE {c} = 'Ann'

@rows any
EXPLAIN (COSTS OFF) SELECT {c} FROM users WHERE {c} = 'Ann'

@rows any
EXPLAIN (ANALYZE, COSTS OFF) UPDATE users SET {c} = 'x' WHERE id = 2

@rows any
EXPLAIN (FORMAT json) INSERT INTO users ({c}) VALUES ('x')

EXPLAIN SELECT nothing, {c} FROM users

@origins any
DECLARE k CURSOR FOR SELECT {c}, id FROM users ORDER BY id
---
FETCH 2 FROM k
---
FETCH ALL FROM k
---
CLOSE k

@origins any
@star
DECLARE k CURSOR FOR SELECT * FROM users ORDER BY id
---
FETCH ALL FROM k

@origins any
DECLARE k CURSOR FOR SELECT {c}, id FROM users ORDER BY id FOR UPDATE
---
FETCH 2 FROM k
---
UPDATE users SET {c} = 'x' WHERE CURRENT OF k RETURNING id, {c}
---
DELETE FROM users WHERE CURRENT OF k

@origins any
DECLARE k CURSOR FOR SELECT id FROM users WHERE {c} = 'Ann' ORDER BY id
---
FETCH ALL FROM k

@origins any
PREPARE p AS SELECT {c} FROM users WHERE id = $1
---
EXECUTE p(1)
---
DEALLOCATE p

@origins any
PREPARE p (text) AS UPDATE users SET {c} = $1 WHERE id = 2 RETURNING {c}
---
EXECUTE p('x')

PREPARE p AS SELECT id FROM users WHERE id = $1
---
EXECUTE p(1)

TRUNCATE orders, users

TRUNCATE users CASCADE
---
SELECT {c} FROM users

COPY users ({c}) TO STDOUT

@star
COPY users TO STDOUT

COPY (SELECT {c} FROM users ORDER BY id) TO STDOUT

LOCK TABLE users IN SHARE MODE

LOCK TABLE public.users

@rows any
ANALYZE users

ANALYZE users ({c})

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = p.full_name WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (p.id, 'm')

MERGE INTO people USING users u ON u.id = people.id WHEN MATCHED THEN UPDATE SET full_name = u.{c}

CREATE TEMP TABLE t AS SELECT {c} FROM users

SELECT {c} INTO TEMP t FROM users

CREATE INDEX i ON users (lower(email)) WHERE id > 1

CREATE VIEW v AS SELECT id, email FROM users WHERE id < 3
---
SELECT id + 0 AS id, email || $$$$ AS email FROM v ORDER BY id

CREATE TABLE notes (id int PRIMARY KEY, name text, full_name text, user_id bigint REFERENCES users (id))
---
INSERT INTO notes SELECT id, {c}, {c}, id FROM users WHERE id < 3 RETURNING id + 0, name || full_name

COMMENT ON TABLE users IS 'x'

GRANT SELECT ON users TO PUBLIC

DO $$ BEGIN PERFORM count(*) FROM users; UPDATE users SET email = 'x' WHERE id = 2; END $$
---
SELECT {c}, email FROM users WHERE id = 2

@refused
CREATE VIEW v AS SELECT {c} FROM users

@refused
CREATE INDEX i ON users ({c})

@refused
ALTER TABLE users RENAME COLUMN {c} TO x

@refused
ALTER TABLE users ADD COLUMN {other} text

@refused
ALTER TABLE users DROP COLUMN {c}

@refused
DROP TABLE users CASCADE

@refused
COMMENT ON COLUMN users.{c} IS 'x'

@refused
GRANT SELECT ({c}) ON users TO PUBLIC

@refused
DO $$ BEGIN UPDATE users SET {c} = 'x' WHERE id = 2; END $$

@@ Transactions.

SAVEPOINT a
---
UPDATE users SET {c} = 'x' WHERE id = 2
---
ROLLBACK TO a
---
SELECT {c} FROM users ORDER BY id

SAVEPOINT a
---
SELECT nothing FROM users
---
SELECT {c} FROM users
---
ROLLBACK TO SAVEPOINT a
---
SELECT {c} FROM users ORDER BY id

@auto none
SAVEPOINT a
---
SELECT {other} FROM users
---
SELECT {c} FROM users
---
ROLLBACK TO SAVEPOINT a
---
SELECT {c} FROM users ORDER BY id

@commit
BEGIN
---
INSERT INTO users ({c}, email) VALUES ('x', 'y@x')
---
COMMIT
---
UPDATE users SET {c} = {c} || '!'  WHERE email = 'y@x' RETURNING {c}
---
DELETE FROM users WHERE {c} = 'x!'

@commit
INSERT INTO users ({c}, email) VALUES ('x', 'y@x'), ('y', 'z@x')
---
UPDATE users SET {c} = upper({c}) WHERE email IN ('y@x', 'z@x', 'bob@x')
---
INSERT INTO users ({c}, email) VALUES ('again', 'y@x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} || users.{c}
---
SELECT {c} FROM users WHERE {c} LIKE 'again%' ORDER BY id
---
DELETE FROM users WHERE {c} = 'Y' RETURNING {c}
---
SELECT id, {c} FROM users ORDER BY {c}, id

@commit
UPDATE users SET {c} = 'one' WHERE id = 2
---
UPDATE users SET age = 1 WHERE {c} = 'one'
---
UPDATE users SET {c} = email WHERE id IN (1, 2)
---
SELECT {c} FROM users WHERE {c} = 'bob@x'
---
UPDATE users SET age = age + 1
---
SELECT count(*) FROM users WHERE {c} IS NULL

@@ MERGE.

MERGE INTO users u USING (SELECT id, full_name AS f FROM people) p ON p.id = u.id AND u.{c} <> 'Ann' WHEN MATCHED AND u.{c} = 'Carl' THEN DELETE WHEN MATCHED THEN UPDATE SET {c} = p.f || u.{c}, age = 1 WHEN NOT MATCHED AND p.id > 20 THEN INSERT (id, {c}) VALUES (p.id, p.f)

MERGE INTO users USING people p ON p.full_name = users.{c} WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, email) VALUES (p.id + 100, p.full_name)

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = DEFAULT

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = tick()

MERGE INTO users USING people p ON p.id = users.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES

MERGE INTO orders USING users u ON u.id = orders.user_id WHEN MATCHED AND u.{c} = 'Ann' THEN UPDATE SET name = u.{c} WHEN NOT MATCHED THEN INSERT (id, user_id, name) VALUES (u.id + 100, u.id, u.{c})

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = nothing

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = '12345678901234567890123456789012345678901'
