@@ What changes the meaning of the table's name, or of the text, for the session.

@live
@auto none
@origins any
CREATE TEMP TABLE users AS SELECT 1 AS id, 't' AS name, 'f' AS full_name
---
SELECT name, full_name FROM users
---
SELECT * FROM users
---
SELECT {c} FROM public.users ORDER BY id
---
DISCARD TEMP
---
SELECT {c} FROM users ORDER BY id

@live
SET LOCAL search_path TO pg_catalog
---
SELECT {c} FROM users

@live
SET LOCAL search_path TO pg_catalog
---
SELECT {c} FROM public.users ORDER BY id

@live
@refused
SET LOCAL standard_conforming_strings TO off
---
SELECT '\'{c}', {c} FROM users ORDER BY id

@live
SET LOCAL standard_conforming_strings TO off
---
SELECT {c} FROM users ORDER BY id

@live
SET LOCAL client_encoding TO 'LATIN1'
---
SELECT {c} FROM users ORDER BY id

@live
@simple
@refused
SET LOCAL search_path TO pg_catalog; SELECT {c} FROM public.users ORDER BY id

@live
@simple
@refused
SET LOCAL search_path TO pg_catalog; SELECT {c} FROM users ORDER BY id

@live
SELECT {c} FROM users WHERE id = 1 FOR UPDATE
---
SELECT {c} FROM users WHERE id = 1 FOR UPDATE NOWAIT

@live
SELECT nothing
---
SELECT {c} FROM users

@live
@auto none
@origins any
CREATE SCHEMA other
---
CREATE TABLE other.users AS SELECT 1 AS id, 't' AS name, 'f' AS full_name
---
SELECT name, full_name FROM other.users
---
SET LOCAL search_path TO other, public
---
SELECT name, full_name FROM users
---
SELECT {c} FROM public.users ORDER BY id
---
SET LOCAL search_path TO public
---
SELECT {c} FROM users ORDER BY id

@live
@auto none
@origins any
CREATE SCHEMA other
---
CREATE TABLE other.users AS SELECT 1 AS id, 't' AS name, 'f' AS full_name
---
SAVEPOINT a
---
SELECT set_config('search_path', 'other, public', true)
---
SELECT name, full_name FROM users
---
ROLLBACK TO a
---
SELECT {c} FROM users ORDER BY id
