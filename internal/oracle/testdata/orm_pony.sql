@@ What Pony 0.7 sent, with the columns that the table has here.

SELECT "users"."id", "users".{q}, "users"."email", "users"."age" FROM "users" "users" WHERE 0 = 1

SELECT "u"."id", "u".{q} FROM "users" "u" WHERE ("u".{q} LIKE 'B%' OR "u".{q} LIKE '%o%') ORDER BY 1

UPDATE "users" SET {q} = 'Bob Ray!' WHERE "id" = 2 AND {q} = 'Bob Ray'

SELECT "u".{q}, COUNT(DISTINCT "post"."id") FROM "users" "u" LEFT JOIN "orders" "post" ON "u"."id" = "post"."user_id" GROUP BY "u".{q} ORDER BY 1

SELECT string_agg("u".{q}::text, ',') FROM "users" "u"

SELECT "p"."total", "user".{q} FROM "orders" "p", "users" "user" WHERE "user".{q} <> 'zz' AND "p"."user_id" = "user"."id" ORDER BY 1

SELECT "id", {q}, "email", "age" FROM "users" WHERE "id" IN (1, 2)

SELECT DISTINCT upper("u".{q}) FROM "users" "u" WHERE lower("u".{q}) = 'set1'

SELECT "u"."id", "u".{q}, "u"."email", "u"."age" FROM "users" "u" WHERE "u"."id" < 3 ORDER BY "u"."id" FOR UPDATE SKIP LOCKED
