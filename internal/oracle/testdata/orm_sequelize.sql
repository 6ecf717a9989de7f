@@ What Sequelize 6.37 sent, with the columns that the table has here.

SELECT "id" FROM "users" AS "User" WHERE ("User".{q} = 'Ann Lee' OR "User"."email" IS NULL) ORDER BY "User"."id"

@params ["ret", "2"]
UPDATE "users" SET {q}=$1 WHERE "id" = $2 RETURNING "id",{q},"email","age"

@star
SELECT "User".*, "orders"."id" AS "orders.id", "orders"."total" AS "orders.total", "orders"."user_id" AS "orders.user_id" FROM (SELECT "User"."id", "User".{q}, "User"."email", "User"."age" FROM "users" AS "User" WHERE ( SELECT "user_id" FROM "orders" AS "orders" WHERE ("orders"."user_id" = "User"."id") LIMIT 1 ) IS NOT NULL ORDER BY "User".{q} ASC, "User"."id" LIMIT 2) AS "User" INNER JOIN "orders" AS "orders" ON "User"."id" = "orders"."user_id" ORDER BY "User".{q} ASC, "orders"."id"

SELECT "Order"."id", "Order"."total", "Order"."user_id", "user"."id" AS "user.id", "user".{q} AS "user.{c}", "user"."email" AS "user.email", "user"."age" AS "user.age" FROM "orders" AS "Order" LEFT OUTER JOIN "users" AS "user" ON "Order"."user_id" = "user"."id" WHERE "user".{q} = 'UPD2' ORDER BY "Order"."id"

SELECT max({q}) AS "max" FROM "users" AS "User"

SELECT count(*) AS "count" FROM "users" AS "User" WHERE "User".{q} != 'q'

SELECT left({q}, 1) AS "l", count("id") AS "c" FROM "users" AS "User" GROUP BY "l" ORDER BY l ASC

SELECT id FROM users WHERE {c} IN ('locked', 'b1') ORDER BY id

@@ Table orders has a column name, too.
@auto refused
SELECT "total", (SELECT {c} FROM users WHERE users.id = "Order"."user_id") AS "un" FROM "orders" AS "Order" ORDER BY "Order"."id"
