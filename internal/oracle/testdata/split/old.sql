@@ The table is what it was, and the new one is not there.

SELECT * FROM users ORDER BY id

SELECT address, phone FROM users WHERE address = 'Ann' OR phone LIKE '0%' ORDER BY id

SELECT u FROM users u WHERE id = 1

SELECT row_to_json(u), u.address FROM users u ORDER BY id

SELECT (SELECT u FROM users u WHERE id = 3) IS NULL

SELECT NULL::users IS NULL

@auto none
SELECT * FROM addresses

@auto none
SELECT * FROM public.addresses, users

@auto none
SELECT u.id FROM users u LEFT JOIN addresses a ON a.user_id = u.id

@auto none
INSERT INTO addresses VALUES (1, 'x')

@auto none
UPDATE addresses SET address = 'x'

@auto none
DELETE FROM addresses

@auto none
@simple
COPY addresses TO STDOUT

@auto none
@simple
TRUNCATE users, addresses

INSERT INTO users (address) VALUES ('Road 1'), (DEFAULT) RETURNING *

INSERT INTO users VALUES (50, 'a', 'b', 'x@y', 3)

INSERT INTO users DEFAULT VALUES RETURNING address, phone

INSERT INTO users (id, address, phone) VALUES (51, NULL, NULL)

INSERT INTO users (id, address) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address || users.address RETURNING *

INSERT INTO users (id, address) SELECT id + 100, name FROM orders ON CONFLICT DO NOTHING

UPDATE users SET address = 'x' WHERE id < 4 RETURNING *

UPDATE users SET address = NULL, phone = NULL

UPDATE users SET address = phone, phone = address WHERE phone IS NOT NULL AND address IS NOT NULL

UPDATE users SET (address, phone) = (SELECT 'a', 'b') WHERE id = 2

@params ["x", "3"]
UPDATE users SET address = $1 WHERE id = $2

UPDATE users SET address = repeat('x', 41) WHERE id = 1

UPDATE users SET id = id + 100 WHERE id NOT IN (SELECT user_id FROM orders WHERE user_id IS NOT NULL)

UPDATE users SET id = 77, address = 'moved' WHERE id = 4

UPDATE users SET id = 1 WHERE id = 4

DELETE FROM users WHERE id = 4 RETURNING *

DELETE FROM users WHERE address = 'Ann'

DELETE FROM users

DELETE FROM users WHERE id = 4
---
INSERT INTO users (id, address) VALUES (4, 'again')
---
UPDATE users SET address = address || '!' WHERE id = 4
---
SELECT * FROM users WHERE id = 4

WITH g AS (DELETE FROM users WHERE id = 8 RETURNING *) INSERT INTO users (id, address, phone) SELECT id + 1000, address, phone FROM g

MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET address = p.full_name || '' WHEN NOT MATCHED THEN INSERT (id, address) VALUES (p.id, 'new')

MERGE INTO users USING people p ON p.id + 3 = users.id WHEN MATCHED THEN DELETE

SELECT * FROM users WHERE id = 1 FOR UPDATE

SELECT address FROM users ORDER BY address LIMIT 3 FOR SHARE SKIP LOCKED

TRUNCATE users CASCADE

TRUNCATE users, orders

TRUNCATE TABLE ONLY users, ONLY orders RESTART IDENTITY

TRUNCATE users

@simple
COPY users TO STDOUT

@simple
COPY users (id, phone) TO STDOUT

ALTER TABLE nosuch ADD COLUMN x int
