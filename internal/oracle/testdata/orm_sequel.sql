@@ What Sequel 5.63 sent, with the columns that the table has here.

SELECT "id" FROM "users" WHERE ({q} ILIKE '%o%' ESCAPE '\') ORDER BY "id"

SELECT count(*) AS "count" FROM "users" WHERE ({q} != 'upd') LIMIT 1

INSERT INTO "users" ({q}, "email") VALUES ('up', 'bob@x') ON CONFLICT ("email") DO UPDATE SET {q} = "excluded".{q} RETURNING {q}

UPDATE "users" SET {q} = ({q} || '!') WHERE ("id" = 3) RETURNING {q}

SELECT "total", "users".{q} FROM "orders" INNER JOIN "users" ON ("users"."id" = "orders"."user_id") ORDER BY "orders"."id"

SELECT "users"."id", "users".{q}, "users"."email", "users"."age", "users"."created_at", "orders"."id" AS "posts_id", "orders"."user_id", "orders"."total" FROM "users" LEFT OUTER JOIN "orders" ON ("orders"."user_id" = "users"."id") WHERE ("users"."id" = 1) ORDER BY "orders"."id"

SELECT left({q}, 1) AS "l", count(*) AS "count" FROM "users" GROUP BY left({q}, 1) ORDER BY "l"

SELECT "id", {q} FROM "users" ORDER BY "id" LIMIT 1 FOR UPDATE SKIP LOCKED

@star
WITH "w" AS (SELECT "id", {q} FROM "users" WHERE ("id" < 3)) SELECT * FROM "w" ORDER BY "id"
