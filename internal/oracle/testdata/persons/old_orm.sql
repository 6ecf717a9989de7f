@@ What object-relational mappers and drivers sent, with the columns that the table has here.

@@ Django 3.2
SELECT "persons"."id", "persons"."first_name", "persons"."last_name" FROM "persons" WHERE "persons"."last_name" = 'Ray' LIMIT 21

UPDATE "persons" SET "last_name" = UPPER("persons"."last_name") WHERE "persons"."first_name" = 'Bo'

SELECT CONCAT("persons"."first_name", CONCAT(' ', "persons"."last_name")) AS "n" FROM "persons" ORDER BY "n" ASC

@@ GORM 1.31
@params ["E", "G", "3"]
UPDATE "persons" SET "first_name"=$1,"last_name"=$2 WHERE "id" = $3

@@ lib/pq 1.12
@star
@params ["E", "F"]
INSERT INTO persons (first_name, last_name) VALUES ($1, $2) RETURNING *

@@ Knex 3, Objection 3 and Bookshelf 1
@params ["Z", "E", "F"]
update "persons" set "last_name" = $1 where "first_name" = $2 and "last_name" = $3 returning "first_name", "last_name"

@@ MikroORM 6.4
update "persons" set "first_name" = case when ("id" = 3) then 'x2' when ("id" = 1) then 'x0' when ("id" = 2) then 'x1' else "first_name" end where "id" in (3, 1, 2) returning "id"

@@ Doctrine ORM 2.14 and DBAL 3.6
SELECT t0.id AS id_1, t0.first_name AS first_name_2, t0.last_name AS last_name_3 FROM persons t0 ORDER BY t0.id ASC

@@ Sequelize 6.37
SELECT "id", "first_name", "last_name" FROM "persons" AS "Person" ORDER BY "Person"."id"

@params ["E", "F"]
INSERT INTO "persons" ("id","first_name","last_name") VALUES (DEFAULT,$1,$2) RETURNING "id","first_name","last_name"

@@ SQLAlchemy 1.4
SELECT persons.id AS people_id, persons.first_name AS people_first_name, persons.last_name AS people_last_name FROM persons WHERE persons.id = 1

UPDATE persons SET first_name=persons.last_name, last_name=persons.first_name WHERE persons.first_name = 'Bob' RETURNING persons.first_name, persons.last_name

SELECT persons.first_name || ' ' || persons.last_name AS anon_1 FROM persons ORDER BY persons.last_name, persons.first_name

@@ TypeORM 1.1
SELECT "Person"."id" AS "Person_id", "Person"."first_name" AS "Person_first_name", "Person"."last_name" AS "Person_last_name" FROM "persons" "Person" ORDER BY "Person"."id" ASC
