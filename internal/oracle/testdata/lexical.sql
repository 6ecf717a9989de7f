@@ Comments, white space, quotes, hints.

/* users */ SELECT /* {c} */ {c} /* after */ FROM users -- the end
ORDER BY id

/*+ SeqScan(users) */ SELECT {c} FROM users ORDER BY id

SELECT {c} FROM users ORDER BY id /*controller='users',action='{c}'*/

SELECT {c} /* nested /* comment with {c} */ users */ FROM users ORDER BY id

SELECT
	{c}	,
	id
.
  FROM
	users
ORDER   BY id

SELECT"{c}"FROM"users"ORDER BY"id"

SELECT{c}FROM users

SELECT u."{c}"FROM users u ORDER BY u . id

SELECT u . {c} FROM users u ORDER BY u.id

SELECT u./* c */{c} FROM users u ORDER BY u.id

SELECT u
.
-- c
. {c} FROM users u ORDER BY u.id

SELECT {c}AS x FROM users

SELECT id,{c},email FROM users WHERE({c}='Ann')AND({c}<>'x')ORDER BY id

SELECT 'it''s {c} of users', {c} FROM users ORDER BY id

SELECT E'\'{c}\' \\ users', {c} FROM users ORDER BY id

SELECT $${c} users$$, {c} FROM users ORDER BY id

SELECT $a$ $$ {c} $$ $a$, {c} FROM users ORDER BY id

SELECT U&'\0061 {c}', {c} FROM users ORDER BY id

SELECT {c}, 'Zoë', "email" FROM users WHERE {c} = 'Zoë' ORDER BY id

SELECT 'Zoë — 日本' AS "日本", {c} FROM users ORDER BY {c}, id

SELECT 'a'
	'b', {c} FROM users ORDER BY id

SELECT {c}FROM FROM users

SELECT {c} FROM users;

SELECT {c} FROM users ; -- done

SELECT -1, - 1, +1, {c} FROM users ORDER BY id

SELECT 1.5e3, 0.5, .5, {c} FROM users ORDER BY id

SELECT {c} FROM users WHERE id=1 OR id =-1 ORDER BY id

SELECT U&"{c}" FROM users ORDER BY id

SELECT {c} FROM U&"users" ORDER BY id

SELECT U&"\006eame" FROM users ORDER BY id

@@ Empty and several statements.

-- nothing but users

;

;;

@simple
SELECT {c} FROM users WHERE id = 1; SELECT id FROM users WHERE {c} = 'Ann' ORDER BY id

@simple
SELECT 1; SELECT {c} FROM users ORDER BY id; SELECT 2

@simple
UPDATE users SET {c} = 'x' WHERE id = 1; SELECT {c} FROM users ORDER BY id

@simple
INSERT INTO users ({c}) VALUES ('x'); INSERT INTO users ({c}) VALUES ('y'); SELECT {c} FROM users ORDER BY id;

@simple
SELECT {c} FROM users ORDER BY id; SELECT nothing FROM users; SELECT {c} FROM users

@simple
SELECT {c} FROM users ORDER BY id; SELECT 1/0; SELECT {c} FROM users

@simple
;SELECT {c} FROM users WHERE id = 1;;SELECT {c} FROM users WHERE id = 2;

@simple
@commit
BEGIN; UPDATE users SET {c} = 'x' WHERE id = 2; COMMIT

@simple
@commit
BEGIN; UPDATE users SET {c} = 'x' WHERE id = 2; ROLLBACK; SELECT {c} FROM users ORDER BY id

@simple
@commit
UPDATE users SET {c} = 'x' WHERE id = 2; SELECT 1/0

@@ The extended protocol takes one statement only.

SELECT {c} FROM users WHERE id = 1; SELECT {c} FROM users WHERE id = 2
