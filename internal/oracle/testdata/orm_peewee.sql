@@ What Peewee 3.14 sent, with the columns that the table has here.

UPDATE "users" SET {q} = ("users".{q} || '!') WHERE ("users"."id" < 3)

UPDATE "users" SET {q} = UPPER("users".{q}) WHERE ("users"."id" = 2) RETURNING "users"."id", "users".{q}, "users"."email", "users"."age"

UPDATE "users" SET {q} = CASE "users"."id" WHEN 1 THEN 'bu1' WHEN 2 THEN 'bu2' END WHERE ("users"."id" IN (1, 2))

SELECT "t1"."id", "t1".{q}, "t1"."email", "t1"."age" FROM "users" AS "t1" WHERE (Lower("t1".{q}) = 'bu1') ORDER BY "t1"."id"

SELECT "t1"."id", "t1"."user_id", "t1"."total", "t2"."id", "t2".{q}, "t2"."email", "t2"."age" FROM "orders" AS "t1" INNER JOIN "users" AS "t2" ON ("t1"."user_id" = "t2"."id") WHERE ("t2".{q} != 'z') ORDER BY "t1"."id"

SELECT "t1".{q}, COUNT("t2"."id") FROM "users" AS "t1" LEFT OUTER JOIN "orders" AS "t2" ON ("t2"."user_id" = "t1"."id") GROUP BY "t1".{q} HAVING (COUNT("t2"."id") > 0) ORDER BY "t1".{q}

SELECT "t1"."total" FROM "orders" AS "t1" WHERE ("t1"."user_id" IN (SELECT "t2"."id" FROM "users" AS "t2" WHERE ("t2".{q} = 'bu1'))) ORDER BY "t1"."id"

WITH "q" AS (SELECT "t1"."id", "t1".{q} AS "n" FROM "users" AS "t1") SELECT "t2"."total", "q"."n" FROM "orders" AS "t2" INNER JOIN "q" ON ("q"."id" = "t2"."user_id") ORDER BY "t2"."id"

DELETE FROM "users" WHERE ("users".{q} ILIKE 'm%')
