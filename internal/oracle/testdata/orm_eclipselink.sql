@@ What EclipseLink 2.7 and the JDBC driver 42.5 sent, with the columns that the table has here.

@params ["0"]
SELECT id, {c}, email, age, created_at FROM users WHERE id > $1 ORDER BY id

@params ["t0", "1"]
UPDATE users SET {c} = $1 WHERE id = $2 RETURNING {c}

@params ["k"]
INSERT INTO users ({c}) VALUES ($1) RETURNING "id", {q}

@params ["up", "bob@x"]
INSERT INTO users ({c}, email) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING {c}

@params ["{t7,up}"]
SELECT id FROM users WHERE {c} = ANY($1) ORDER BY id

@params ["1"]
SELECT ID, AGE, EMAIL, {c} FROM users WHERE (ID = $1) FOR UPDATE

SELECT {c}, COUNT(ID) FROM users GROUP BY {c} ORDER BY {c}

@params ["JP%", "q", "2", "0"]
SELECT ID AS a1 FROM users WHERE (UPPER({c}) LIKE $1 AND ({c} <> $2)) ORDER BY {c} DESC, ID LIMIT $3 OFFSET $4

@params ["b0", "0", "b1", "1"]
INSERT INTO users ({c}, age) VALUES ($1, $2),($3, $4)
