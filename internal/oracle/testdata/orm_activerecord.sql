@@ What ActiveRecord 6.1 sent, with the columns that the table has here.

SELECT "users"."id" FROM "users" WHERE ({c} LIKE '%o%') ORDER BY "users"."id" ASC

@params ["3"]
UPDATE "users" SET {c} = upper({c}), age = 7 WHERE "users"."id" = $1

INSERT INTO "users" ({q},"email") VALUES ('u1', 'bob@x') ON CONFLICT ("email") DO UPDATE SET {q}=excluded.{q} RETURNING "id",{q}

@params ["upd"]
SELECT "orders"."total", "users".{q} FROM "orders" INNER JOIN "users" ON "users"."id" = "orders"."user_id" WHERE "users".{q} = $1 ORDER BY "orders"."id" ASC

SELECT COUNT(*) AS count_all, "users".{q} AS users_name FROM "users" GROUP BY "users".{q}

SELECT COUNT(*) AS count_all, left({c}, 1) AS left_name_1 FROM "users" GROUP BY left({c}, 1)

SELECT MAX("users".{q}) FROM "users"

@params ["2"]
SELECT "users"."id", "users".{q} FROM "users" ORDER BY "users".{q} DESC LIMIT $1

@params ["tx", "1"]
SELECT 1 AS one FROM "users" WHERE "users".{q} = $1 LIMIT $2
