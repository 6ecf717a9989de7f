@@ What only some servers know. The parser's grammar is PostgreSQL 16's: what is newer is refused, unless 16 reads it, too, as something else.

@from 17
@refused
MERGE INTO users USING people p ON p.id = users.id WHEN MATCHED THEN UPDATE SET {c} = p.full_name RETURNING users.id, {c}

@from 17
@refused
MERGE INTO users USING people p ON p.id = users.id WHEN NOT MATCHED BY SOURCE THEN DELETE

@from 17
@refused
SELECT {c}, j.x FROM users, JSON_TABLE('[1, 2]', '$[*]' COLUMNS (x int PATH '$')) j

@from 17
SELECT {c}, JSON_VALUE('{"a": 1}', '$.a') FROM users ORDER BY id

@from 17
SELECT {c}, JSON_EXISTS('{"a": 1}', '$.a') FROM users WHERE {c} = JSON_VALUE('{"a": "Ann"}', '$.a')

@from 18
@refused
UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.{c}, n.{c}

@from 18
UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING old.{c}, new.{c}

@from 18
UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING old.email, new.email, {c}

@from 18
@star
UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING old.*, new.*

@from 18
INSERT INTO users (id, {c}) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING old.{c} AS before, new.{c} AS after

@from 18
DELETE FROM users WHERE {c} = 'Ann' RETURNING old.{c}, new.{c}, {c}

@from 18
UPDATE users AS old SET {c} = 'x' WHERE old.id = 1 RETURNING old.{c}, new.{c}

@from 18
WITH u AS (UPDATE users SET {c} = 'x' WHERE id = 1 RETURNING old.{c} AS a, new.{c} AS b) SELECT a, b FROM u
