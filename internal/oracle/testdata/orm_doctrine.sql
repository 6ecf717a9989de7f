@@ What Doctrine ORM 2.14 and DBAL 3.6 sent, with the columns that the table has here.

SELECT id, {c}, email FROM users ORDER BY id

@params ["Bob Ray", "Ann Lee"]
SELECT id FROM users WHERE {c} = $1 OR {c} = $2

@params ["D'A", "d@x"]
INSERT INTO users ({c}, email) VALUES ($1, $2) RETURNING id, {c}

@params ["tx", "r3"]
SELECT t0.id AS id_1, t0.{c} AS name_2, t0.email AS email_3, t0.age AS age_4 FROM users t0 WHERE t0.{c} IN ($1, $2)

SELECT u0_.{c} AS name_0, COUNT(p1_.id) AS sclr_1 FROM users u0_ LEFT JOIN orders p1_ ON u0_.id = p1_.user_id GROUP BY u0_.id, u0_.{c} ORDER BY u0_.{c} ASC

UPDATE users SET {c} = {c} || '!' WHERE {c} LIKE 'do%'

@params ["q"]
SELECT u0_.id AS id_0, u0_.{c} AS name_1, u0_.email AS email_2, u0_.age AS age_3, p1_.id AS id_5, p1_.total AS title_6, p1_.user_id AS user_id_8 FROM users u0_ INNER JOIN orders p1_ ON u0_.id = p1_.user_id WHERE u0_.{c} <> $1 ORDER BY u0_.{c} ASC, p1_.id ASC

SELECT COUNT(*) AS dctrn_count FROM (SELECT DISTINCT id_0 FROM (SELECT u0_.id AS id_0, u0_.{c} AS name_1, u0_.email AS email_2, u0_.age AS age_3, p1_.id AS id_5, p1_.total AS title_6 FROM users u0_ LEFT JOIN orders p1_ ON u0_.id = p1_.user_id ORDER BY u0_.{c} ASC) dctrn_result) dctrn_table

SELECT DISTINCT id_0, MIN(sclr_8) AS dctrn_minrownum FROM (SELECT u0_.id AS id_0, u0_.{c} AS name_1, u0_.email AS email_2, u0_.age AS age_3, p1_.id AS id_5, p1_.total AS title_6, ROW_NUMBER() OVER(ORDER BY u0_.{c} ASC) AS sclr_8 FROM users u0_ LEFT JOIN orders p1_ ON u0_.id = p1_.user_id) dctrn_result GROUP BY id_0 ORDER BY dctrn_minrownum ASC LIMIT 2 OFFSET 1
