@@ What DBIx::Class 0.0828 sent, with the columns that the table has here.

SELECT id, {c}, email, age FROM users ORDER BY id

@params ["{n4,e1}"]
SELECT id FROM users WHERE {c} = ANY($1) ORDER BY id

@params ["dc@x", "dc"]
INSERT INTO users ( email, {c}) VALUES ( $1, $2 ) RETURNING id

@params ["dc2", "tx"]
SELECT COUNT( * ) FROM users me WHERE ( ( {c} = $1 OR {c} = $2 ) )

@params ["q"]
SELECT me.id, me.user_id, me.total, usr.id, usr.{c}, usr.email, usr.age FROM orders me  JOIN users usr ON usr.id = me.user_id WHERE ( usr.{c} != $1 ) ORDER BY me.id

@params ["1", "2"]
SELECT me.id, me.{c}, me.email, me.age, orders.id, orders.user_id, orders.total FROM users me LEFT JOIN orders orders ON orders.user_id = me.id WHERE ( ( me.id = $1 OR me.id = $2 ) ) ORDER BY me.id, orders.id

@params ["p_"]
UPDATE users SET {c} = upper({c}) WHERE ( {c} LIKE $1 )

@params ["n4"]
SELECT me.id, me.user_id, me.total FROM orders me WHERE ( user_id IN ( SELECT me.id FROM users me WHERE ( {c} = $1 ) ) ) ORDER BY id

@params ["2", "2"]
SELECT me.id, me.{c}, me.email, me.age FROM users me ORDER BY {c} LIMIT $1 OFFSET $2
