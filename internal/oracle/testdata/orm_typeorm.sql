@@ What TypeORM 1.1 sent, with the columns that the table has here.

@params ["Ann Lee"]
SELECT "User"."id" AS "User_id" FROM "users" "User" WHERE (((("User".{q} = $1))) OR ((("User"."email" IS NULL)))) ORDER BY "User_id" ASC

SELECT DISTINCT "distinctAlias"."User_id" AS "ids_User_id", "distinctAlias"."User_name" FROM (SELECT "User"."id" AS "User_id", "User".{q} AS "User_name", "User"."email" AS "User_email", "User"."age" AS "User_age", "User"."created_at" AS "User_created_at", "User__User_posts"."id" AS "User__User_posts_id", "User__User_posts"."total" AS "User__User_posts_title", "User__User_posts"."user_id" AS "User__User_posts_user_id" FROM "users" "User" LEFT JOIN "orders" "User__User_posts" ON "User__User_posts"."user_id"="User"."id") "distinctAlias" ORDER BY "distinctAlias"."User_name" ASC, "User_id" ASC LIMIT 2 OFFSET 1

@params ["upd"]
SELECT "Order"."id" AS "Post_id", "Order"."total" AS "Post_title", "Order"."user_id" AS "Post_user_id", "Post__Post_user"."id" AS "Post__Post_user_id", "Post__Post_user".{q} AS "Post__Post_user_name", "Post__Post_user"."email" AS "Post__Post_user_email", "Post__Post_user"."age" AS "Post__Post_user_age", "Post__Post_user"."created_at" AS "Post__Post_user_created_at" FROM "orders" "Order" LEFT JOIN "users" "Post__Post_user" ON "Post__Post_user"."id"="Order"."user_id" WHERE (((("Post__Post_user".{q} = $1)))) ORDER BY "Order"."id" ASC

@params ["%p%"]
SELECT "u"."id" AS "u_id", "u".{q} AS "u_name", "u"."email" AS "u_email", "u"."age" AS "u_age", "u"."created_at" AS "u_created_at", "p"."id" AS "p_id", "p"."total" AS "p_title", "p"."user_id" AS "p_user_id" FROM "users" "u" LEFT JOIN "orders" "p" ON "p"."user_id"="u"."id" WHERE "u".{q} LIKE $1 ORDER BY "u".{q} ASC, "p"."id" ASC

SELECT left("u".{q}, 1) AS "l", COUNT(*) AS "c" FROM "users" "u" GROUP BY l ORDER BY "l" ASC

SELECT "p"."total" AS "t" FROM "orders" "p" WHERE "p"."user_id" IN (SELECT "u"."id" AS "u_id" FROM "users" "u" WHERE "u".{q} = 'upd') ORDER BY "p"."id" ASC

@params ["q%"]
SELECT COUNT(DISTINCT("User".{q})) AS "cnt" FROM "users" "User" WHERE (("User".{q} LIKE $1))

@params ["qq2"]
SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "users" "User" WHERE (("User".{q} = $1))) LIMIT 1

@params ["1"]
SELECT {c} FROM users WHERE id = $1
