@@ What GORM 1.31 sent, with the columns that the table has here.

@params ["Ann Lee", "Bob Ray"]
SELECT "id",{q} FROM "users" WHERE {c} = $1 OR {c} IN ($2) ORDER BY id

@params ["1", "1"]
SELECT "id",{q},"email","age" FROM "users" WHERE "users"."id" = $1 ORDER BY "users"."id" LIMIT $2

@params ["upd", "2"]
UPDATE "users" SET "age"=coalesce(age, 0) + 1,{q}=$1 WHERE id = $2

@star
@params ["2"]
UPDATE "users" SET {q}=upper({c}) WHERE id = $1 RETURNING *

@params ["3"]
SELECT orders.total, users.{c} AS n FROM "orders" JOIN users ON users.id = orders.user_id ORDER BY orders.id LIMIT $1

SELECT {q} FROM "users" ORDER BY {c} DESC

@params ["b%"]
SELECT count(*) FROM "users" WHERE {c} LIKE $1

@params ["0", "4"]
SELECT {c}, count(*) AS c FROM "users" GROUP BY {q} HAVING count(*) > $1 ORDER BY {c} LIMIT $2

SELECT "id",{q} FROM "users" WHERE id < 3 ORDER BY id FOR UPDATE SKIP LOCKED
