@@ What object-relational mappers and drivers sent, with the columns that the table has here.

@@ ActiveRecord 6.1
@params ["5", "100"]
SELECT COUNT(*) FROM "products" WHERE "products".{q} BETWEEN $1 AND $2

@params ["2", "B2", "0", "90", "2"]
UPDATE "products" SET "id" = $1, "email" = $2, "age" = $3, {q} = $4 WHERE "products"."id" = $5

@@ Django 3.2
UPDATE "products" SET {q} = (("products".{q} * 2) + 1)

SELECT "products"."email", ("products".{q} * "products"."age") AS "t" FROM "products" ORDER BY "t" DESC, "products"."email" ASC

UPDATE "products" SET {q} = CAST(CASE WHEN ("products"."id" = 1) THEN 0 WHEN ("products"."id" = 2) THEN 1 WHEN ("products"."id" = 3) THEN 2 WHEN ("products"."id" = 4) THEN 3 WHEN ("products"."id" = 5) THEN 4 WHEN ("products"."id" = 6) THEN 5 ELSE NULL END AS bigint) WHERE "products"."id" IN (1, 2, 3, 4, 5, 6)

@@ GORM 1.31
@params ["2", "A1"]
UPDATE "products" SET {q}={c} * $1 + 1 WHERE email = $2

@@ pgx 5
@params ["1"]
SELECT email, {c} FROM products WHERE {c} <> $1 ORDER BY id

@params ["A1", "50", "2"]
INSERT INTO products (email, {c}) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET {c} = excluded.{c}, age = products.age + $3 RETURNING age, {c}

@@ Knex 3, Objection 3 and Bookshelf 1
@params ["4", "D4", "E5"]
insert into "products" ({q}, "email") values ($1, $2), (DEFAULT, $3) returning "id", {q}

@@ MikroORM 6.4
@star
select "p0".* from "products" as "p0" where "p0".{q} >= '5' order by "p0".{q} asc, "p0"."email" asc

update "products" set {q} = case when ("id" = 1) then '0' when ("id" = 2) then '1' when ("id" = 3) then '2' when ("id" = 4) then '3' else {q} end where "id" in (1, 2, 3, 4) returning "id"

@@ Peewee 3.14
SELECT "t1"."id", "t1"."email", "t1".{q}, "t1"."age" FROM "products" AS "t1" ORDER BY "t1"."id"

@@ DBIx::Class 0.0828
@params ["44", "9"]
SELECT me.id, me.email, me.{c}, me.age FROM products me WHERE ( {c} IN ( $1, $2 ) ) ORDER BY {c}

@@ Doctrine ORM 2.14 and DBAL 3.6
@params ["40", "5"]
SELECT t0.id AS id_1, t0.email AS sku_2, t0.{c} AS price_v2_3, t0.age AS qty_4 FROM products t0 WHERE t0.{c} IN ($1, $2) ORDER BY t0.{c} ASC

SELECT SUM(p0_.{c}) AS sclr_0, MAX(p0_.{c} * p0_.age) AS sclr_1 FROM products p0_

@@ Pony 0.7
SELECT "p"."id", "p"."email", "p".{q}, "p"."age" FROM "products" "p" ORDER BY "p"."id"

SELECT "p"."email" FROM "products" "p" WHERE "p".{q} > 5 ORDER BY 1

@@ Sequelize 6.37
SELECT "id", "email", {q} AS "price", "age" FROM "products" AS "Product" WHERE "Product".{q} >= '50' ORDER BY "price" ASC, "Product"."email" ASC

@params ["1", "A1", "1", "0"]
INSERT INTO "products" ("id","email",{q},"age") VALUES ($1,$2,$3,$4) ON CONFLICT ("id") DO UPDATE SET "id"=EXCLUDED."id","email"=EXCLUDED."email",{q}=EXCLUDED.{q} RETURNING "id","email",{q},"age"

@@ SQLAlchemy 1.4
SELECT products.{c} AS products_price_v2, products.id AS products_id, products.email AS products_sku, products.age AS products_qty FROM products WHERE products.id = 1

SELECT products.email, products.{c}, count(*) OVER () AS anon_1 FROM products ORDER BY products.{c} DESC, products.email

INSERT INTO products (email, {c}, age) VALUES ('A1', 3, 9) ON CONFLICT (email) DO UPDATE SET {c} = excluded.{c}, age = (products.age + 1) RETURNING products.{c}, products.age

SELECT sum(products.{c}) AS sum_1, max(products.{c}) AS max_1, sum(products.{c} * products.age) AS sum_2 FROM products

@@ TypeORM 1.1
@params ["A1"]
SELECT "Product"."id" AS "Product_id", "Product"."email" AS "Product_sku", "Product".{q} AS "Product_price_v2", "Product"."age" AS "Product_qty" FROM "products" "Product" WHERE (("Product"."email" = $1)) LIMIT 1
