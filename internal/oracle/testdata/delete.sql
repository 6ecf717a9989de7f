DELETE FROM users

DELETE FROM users WHERE id = 1

DELETE FROM users WHERE {c} = 'Ann'

DELETE FROM users WHERE {c} IS NULL OR {c} LIKE 'A%'

DELETE FROM users u WHERE u.{c} = 'Bob' RETURNING u.id, u.{c}

DELETE FROM public.users WHERE users.{c} = 'Bob' RETURNING users.{c}

@star
DELETE FROM users WHERE {c} = 'Ann' RETURNING *

@star
DELETE FROM users AS u WHERE {c} = 'Ann' RETURNING u.*

DELETE FROM users WHERE {c} = 'Ann' RETURNING {c} AS x, upper({c})

DELETE FROM users USING orders o WHERE o.user_id = users.id AND o.name = users.{c}

DELETE FROM users USING orders WHERE orders.user_id = users.id AND orders.name = users.{c} RETURNING users.{c}, orders.name

@star
DELETE FROM users USING orders o WHERE o.user_id = users.id AND o.id = 4 RETURNING *

DELETE FROM users USING users v WHERE v.{c} = users.{c} AND v.id < users.id RETURNING users.id, v.{c}

DELETE FROM users USING people p WHERE p.full_name = users.{c} RETURNING p.full_name, users.{c}

DELETE FROM orders USING users WHERE orders.user_id = users.id AND users.{c} = 'Ann'

@auto refused
DELETE FROM orders WHERE user_id IN (SELECT id FROM users WHERE {c} = 'Ann') RETURNING id

DELETE FROM people WHERE full_name IN (SELECT u.{c} FROM users u)

DELETE FROM users WHERE id IN (SELECT id FROM users WHERE {c} = 'Ann')

DELETE FROM users WHERE ({c}, id) IN (SELECT {c}, max(id) FROM users GROUP BY {c} HAVING count(*) > 1)

DELETE FROM ONLY users WHERE {c} = 'Ann'

DELETE FROM users WHERE 'Ann' = {c} RETURNING(SELECT count(*) FROM users v WHERE v.{c} = users.{c})

DELETE FROM users WHERE NOT {c} = 'Ann'

DELETE FROM users WHERE NOT ({c} = 'Ann' OR {c} = 'Bob') RETURNING id

DELETE FROM users WHERE {c} = tick()

@star
DELETE FROM users WHERE {c} = 'Ann' RETURNING users
