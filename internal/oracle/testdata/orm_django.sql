@@ What Django 3.2 sent, with the columns that the table has here.

SELECT "users"."id", "users".{q}, "users"."email", "users"."age", "users"."created_at" FROM "users" WHERE (("users".{q}::text LIKE '%A%' OR NOT ("users".{q} = 'Cid Poe')) AND NOT ("users"."email" IS NULL)) ORDER BY LOWER("users".{q}) DESC

UPDATE "users" SET {q} = CAST(CASE WHEN ("users"."id" = 6) THEN 'B0' WHEN ("users"."id" = 7) THEN 'B1' ELSE NULL END AS varchar(40)), "age" = CAST(CASE WHEN ("users"."id" = 6) THEN 50 WHEN ("users"."id" = 7) THEN 51 ELSE NULL END AS integer) WHERE "users"."id" IN (6, 7)

UPDATE "users" SET {q} = CASE WHEN ("users"."id" = 1) THEN 'one' ELSE UPPER("users".{q}) END WHERE "users"."id" <= 3

SELECT "users".{q}, COUNT("orders"."id") AS "n", LENGTH("users".{q}) AS "l", SUBSTRING("users".{q}, 1, 2) AS "s" FROM "users" LEFT OUTER JOIN "orders" ON ("users"."id" = "orders"."user_id") GROUP BY "users"."id", LENGTH("users".{q}), SUBSTRING("users".{q}, 1, 2) ORDER BY "n" DESC, "users"."id" ASC LIMIT 3

SELECT MAX("users".{q}) AS "m", COUNT(DISTINCT "users".{q}) AS "c", AVG("users"."age") AS "a", STRING_AGG("users".{q}, ',' ORDER BY "users"."id") AS "s" FROM "users"

SELECT LEFT("users".{q}, 1) AS "l", COUNT("users"."id") AS "c" FROM "users" GROUP BY LEFT("users".{q}, 1) HAVING COUNT("users"."id") > 1 ORDER BY "l" ASC

SELECT "users".{q}, ROW_NUMBER() OVER (ORDER BY "users".{q} ASC) AS "r" FROM "users" ORDER BY "r" ASC LIMIT 3

SELECT (SELECT U0.{q} FROM "users" U0 WHERE U0."id" = "orders"."user_id" LIMIT 1) AS "un" FROM "orders" ORDER BY "orders"."id" ASC

SELECT DISTINCT ON ("users".{q}) "orders"."total" FROM "orders" INNER JOIN "users" ON ("orders"."user_id" = "users"."id") ORDER BY "users".{q} ASC, "orders"."id" ASC
