@@ What object-relational mappers and drivers sent, with the columns that the table has here.

@@ Django 3.2
SELECT "persons"."id", "persons"."full_name" FROM "persons" WHERE "persons"."full_name" = 'Bob Ray' LIMIT 21

SELECT "persons"."id", "persons"."full_name" FROM "persons" ORDER BY "persons"."id" ASC LIMIT 1

@@ GORM 1.31
SELECT "id","full_name" FROM "persons" ORDER BY id

@@ pgx 5
@params ["Q Ray", "%Ray"]
UPDATE persons SET full_name = $1 WHERE full_name LIKE $2 RETURNING full_name

@@ lib/pq 1.12
@star
@params ["E F"]
INSERT INTO persons (full_name) VALUES ($1) RETURNING *

@@ MikroORM 6.4
update "persons" set "full_name" = case when ("id" = 3) then 'x2 y' when ("id" = 1) then 'x0 y' when ("id" = 2) then 'x1 y' else "full_name" end where "id" in (3, 1, 2) returning "id"

@@ Doctrine ORM 2.14 and DBAL 3.6
SELECT t0.id AS id_1, t0.full_name AS full_name_2 FROM persons t0 ORDER BY t0.id ASC

@@ Sequelize 6.37
@params ["E F"]
INSERT INTO "persons" ("id","full_name") VALUES (DEFAULT,$1) RETURNING "id","full_name"

@@ SQLAlchemy 1.4
SELECT persons.id AS people_id, persons.full_name AS people_full_name FROM persons WHERE persons.id = 1

UPDATE persons SET full_name=upper(persons.full_name) WHERE persons.full_name = 'Bob Ray' RETURNING persons.full_name

@@ TypeORM 1.1
SELECT "Person"."id" AS "Person_id", "Person"."full_name" AS "Person_full_name" FROM "persons" "Person" ORDER BY "Person"."id" ASC
