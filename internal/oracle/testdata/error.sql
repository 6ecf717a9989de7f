@@ Errors, with their places, in the middle of texts that change their length.

@auto none
SELECT {other} FROM users

@auto none
SELECT users.{other} FROM users

@auto none
SELECT {c}, u.{other}, id FROM users u

@auto none
SELECT id, {c}, {other} FROM users

@auto none
SELECT {c} FROM users WHERE {other} = 'Ann'

@auto none
UPDATE users SET {other} = 'x' WHERE {c} = 'Ann'

@auto none
INSERT INTO users ({other}) VALUES ('x')

@auto none
INSERT INTO users ({c}, {other}) VALUES ('x', 'y')

@auto none
UPDATE users SET {c} = 'x', {other} = 'y' WHERE id = 1

SELECT {c}, nothing FROM users

SELECT {c}, {c}, {c}, users.nothing FROM users

SELECT {c}, x.{c} FROM users

SELECT {c}, upper({c}, 1) FROM users

SELECT {c}, {c} + 1 FROM users

SELECT {c} FROM users WHERE {c} = 1

SELECT {c} FROM users WHERE {c} = 1 AND {c} = 'x'

SELECT {c} FROM users WHERE {c}

SELECT {c} FROM users WHERE id = 'x'

SELECT {c} FROM users ORDER BY 5

SELECT {c}, count(*) FROM users

SELECT {c}, count(*) FROM users GROUP BY id, age HAVING email > {c} AND nothing > 1

SELECT email, count(*) FROM users GROUP BY {c}

SELECT {c} FROM users GROUP BY upper({c})

SELECT DISTINCT {c} FROM users ORDER BY age

SELECT DISTINCT {c} FROM users ORDER BY upper({c})

SELECT {c} FROM users u, users v

SELECT id FROM users u JOIN orders o ON u.{c} = o.name

SELECT {c} FROM users UNION SELECT {c}, id FROM users

SELECT {c} FROM users UNION SELECT id FROM users

@star
VALUES (1, 2) UNION ALL TABLE users

@star
SELECT 1 UNION ALL TABLE ONLY users

@star
TABLE users UNION ALL SELECT 1

SELECT {c} FROM users UNION SELECT {c} FROM users ORDER BY {c} || 'x'

SELECT {c} FROM users u WHERE users.{c} = 'x'

SELECT max({c}) FROM users WHERE max({c}) > 'x'

SELECT {c} FROM users WHERE {c} = ANY ('x')

@refused
SELECT {c} FROM users, nowhere

SELECT {c}, 'Zoë', nothing FROM users

SELECT '日本語', {c}, "Zoë", nothing FROM users

SELECT {c} FROM users WHERE {c} = 'x' AND

SELECT {c} FROM users WHERE ({c} = 'x'

SELECT {c} FROM users WHERE {c} = 'x

SELECT {c} FROM users /* open

SELECT {c}, FROM users

SELEC {c} FROM users

INSERT INTO users {c} VALUES ('x')

SELECT 1/0, {c} FROM users

SELECT {c}::int FROM users ORDER BY id

SELECT {c}, {c}::int FROM users WHERE {c} = 'Ann'

SELECT id, 1/(id-3), {c} FROM users ORDER BY id

INSERT INTO users ({c}) VALUES ('x', 'y')

INSERT INTO users ({c}, email) VALUES ('x')

INSERT INTO users ({c}, {c}) VALUES ('x', 'y')

INSERT INTO users ({c}, nothing) VALUES ('x', 'y')

INSERT INTO users (id, {c}) VALUES ('x', 'y')

INSERT INTO users (id, {c}) VALUES (1, 'twice')

INSERT INTO users (email, {c}) VALUES ('ann@x', 'twice')

INSERT INTO users ({c}, email) VALUES (nothing, 'y')

INSERT INTO users ({c}) VALUES ('12345678901234567890123456789012345678901')

INSERT INTO users ({c}) VALUES ('1234567890123456789012345678901234567890          ')

INSERT INTO users ({c}) VALUES ('x'), ('12345678901234567890123456789012345678901'), ('y')

INSERT INTO users ({c}) VALUES (NULL) RETURNING {c}

INSERT INTO users ({c}) VALUES (1)

INSERT INTO users ({c}) VALUES (1.5::numeric) RETURNING {c}

INSERT INTO users ({c}) VALUES (true) RETURNING {c}

INSERT INTO users ({c}) VALUES (ARRAY['x'])

INSERT INTO users ({c}) VALUES ('2024-05-06 07:08:09+00'::timestamptz)

INSERT INTO users ({c}) VALUES ({c})

INSERT INTO users ({c}) VALUES ('a') RETURNING nothing

INSERT INTO users ({c}) VALUES ('a') RETURNING {c}, 1/0

UPDATE users SET {c} = NULL WHERE id = 1

UPDATE users SET {c} = '12345678901234567890123456789012345678901' WHERE id = 1

UPDATE users SET {c} = repeat('x', 50) WHERE id = 1

UPDATE users SET {c} = 1 WHERE id = 1

UPDATE users SET {c} = ARRAY[1] WHERE id = 1

UPDATE users SET {c} = 'x', {c} = 'y' WHERE id = 1

UPDATE users SET nothing = 1, {c} = 'x' WHERE id = 1

UPDATE users SET {c} = nothing WHERE id = 1

UPDATE users SET {c} = 'x' WHERE nothing = 1

UPDATE users SET users.{c} = 'x' WHERE id = 1

UPDATE users u SET {c} = 'x' WHERE users.id = 1

UPDATE users SET {c} = 1/0 WHERE id = 1

UPDATE users SET ({c}, age) = ('x') WHERE id = 1

UPDATE users SET {c} = max({c})

UPDATE users SET id = 2, {c} = 'x' WHERE id = 1

UPDATE users SET {c} = 'x' WHERE {c} = 1

DELETE FROM users WHERE {c} = 1

DELETE FROM users WHERE nothing = {c}

DELETE FROM users WHERE {c} = 'Ann' RETURNING nothing

SELECT {c} FROM users FOR UPDATE OF nothing

SELECT {c}, count(*) FROM users GROUP BY {c} FOR UPDATE

SELECT {c} FROM users LIMIT {c}

@params ["1", "2"]
SELECT {c} FROM users WHERE id = $1

@params []
SELECT {c} FROM users WHERE id = $1 AND {c} = $3

@params ["x"]
SELECT {c}, $1 + {c} FROM users

@params ["x"]
SELECT {c} FROM users WHERE id = $1

@@ What comes before a statement that is wrong is carried out.

@simple
@auto none
SELECT {c} FROM users WHERE id = 1; UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING {c}; SELECT {other} FROM users; SELECT 1
