UPDATE users SET {c} = 'x'

UPDATE users SET {c} = 'x' WHERE id = 1

UPDATE users SET {c} = 'x' WHERE id = 2

UPDATE users SET {c} = 'x' WHERE {c} = 'Ann'

UPDATE users SET {c} = 'x' WHERE {c} = 'Bob' RETURNING {c}

UPDATE public.users SET {c} = 'x' WHERE users.id = 2 RETURNING users.{c}, public.users.id

UPDATE users AS u SET {c} = 'x' WHERE u.{c} = 'Bob' RETURNING u.{c}

UPDATE users u SET {c} = upper(u.{c}) WHERE u.id < 4 RETURNING u.id, {c}

UPDATE users SET {q} = 'x' WHERE {q} = 'Bob' RETURNING {q}

UPDATE users SET {c} = {c} || '!' WHERE length({c}) < 10

UPDATE users SET {c} = {c}

UPDATE users SET {c} = {c} WHERE id = 2

UPDATE users SET {c} = email WHERE email IS NOT NULL

UPDATE users SET email = {c} WHERE id = 2

UPDATE users SET email = {c}, {c} = email WHERE id = 2

UPDATE users SET {c} = 'x', age = 3 WHERE id = 2

UPDATE users SET age = 3, {c} = 'x' WHERE id = 2

UPDATE users SET age = age + 1, {c} = {c} || age, email = {c} || 'e' WHERE id = 2

UPDATE users SET age = 3 WHERE {c} = 'Ann'

UPDATE users SET age = length({c}) RETURNING id, age

UPDATE users SET age = age + 1 WHERE id IN (2, 4, 6)

UPDATE users SET {c} = DEFAULT WHERE id = 2 RETURNING {c}

UPDATE users SET age = DEFAULT, {c} = DEFAULT WHERE id = 2 RETURNING {c}, age

@variants plain
UPDATE users SET {c} = NULL WHERE id IN (1, 2) RETURNING {c}

@variants plain
UPDATE users SET {c} = NULL

@variants plain
UPDATE users SET {c} = 'x' WHERE {c} IS NULL

UPDATE users SET {c} = 'x' WHERE {c} IS DISTINCT FROM 'Ann'

UPDATE users SET {c} = CASE WHEN age > 30 THEN 'old ' || {c} ELSE {c} END WHERE id < 5 RETURNING id, {c}

UPDATE users SET {c} = COALESCE({c}, 'none')

UPDATE users SET {c} = NULLIF({c}, 'Ann') WHERE id = 2

UPDATE users SET {c} = ('x') WHERE id = 2

UPDATE users SET {c} = 'x'::text WHERE id = 2

UPDATE users SET {c} = 5::text WHERE id = 2

UPDATE users SET {c} = 'xyz'::varchar(2) WHERE id = 2 RETURNING {c}

UPDATE users SET {c} = repeat('x', 40) WHERE id = 2

UPDATE users SET {c} = '1234567890123456789012345678901234567890   ' WHERE id = 2 RETURNING length({c})

UPDATE users SET{q}='x'WHERE id=2

UPDATE users SET {c}='x'WHERE id=2

UPDATE users SET ({c}) = ROW('x') WHERE id = 2

UPDATE users SET ({c}, age) = ('x', 3) WHERE id = 2

UPDATE users SET (age, {c}) = (3, upper({c})) WHERE id = 2 RETURNING {c}, age

UPDATE users SET (age, {c}) = (3, DEFAULT) WHERE id = 2 RETURNING {c}, age

UPDATE users SET ({c}, age) = ROW('x', 3) WHERE id = 2

UPDATE users SET ({c}, age) = (SELECT 'x', 3) WHERE id = 2

UPDATE users SET ({c}) = (SELECT 'x') WHERE id = 2

UPDATE users SET ({c}, age) = (SELECT p.full_name, p.id FROM people p WHERE p.id = users.id) WHERE id < 3

UPDATE users SET {c} = (SELECT full_name FROM people WHERE people.id = users.id) WHERE id < 3

UPDATE users SET {c} = (SELECT max(u.{c}) FROM users u WHERE u.id < users.id) WHERE id < 5 RETURNING id, {c}

UPDATE users SET {c} = ARRAY(SELECT 'x'::text)::text WHERE id = 2

@@ Computed once, or refused.

UPDATE users SET {c} = tick() WHERE id < 4 RETURNING {c}

UPDATE users SET {c} = random()::text WHERE id < 4 RETURNING id

UPDATE users SET {c} = 'x' || nextval('ticks') WHERE id = 2 RETURNING {c}

UPDATE users SET age = 1, {c} = tick(), email = 'e' || random() WHERE id = 2 RETURNING {c}, email

UPDATE users SET email = tick() WHERE {c} = 'Bob' RETURNING email

UPDATE users SET {c} = '2024-05-06'::date || 'x' WHERE id = 2

UPDATE users SET email = tick(), {c} = 'x' WHERE id = 2 RETURNING {c}, email

@@ With other tables.

UPDATE users SET {c} = o.name FROM orders o WHERE o.user_id = users.id AND o.id = 3 + 1

UPDATE users SET {c} = p.full_name FROM people p WHERE p.id = users.id AND p.full_name IS NOT NULL RETURNING users.id, users.{c}, p.full_name

UPDATE users SET {c} = full_name FROM people p WHERE p.id = users.id AND p.full_name IS NOT NULL AND email IS NOT NULL

UPDATE users SET {c} = {c} || name FROM orders o WHERE o.user_id = users.id AND o.id = 1

UPDATE users SET {c} = v.{c} || users.{c} FROM users v WHERE v.id = users.id + 1 AND users.id < 3 RETURNING users.id, users.{c}, v.{c}

UPDATE users u SET {c} = v.{c} FROM users v WHERE v.id = 1 AND u.id = 2 RETURNING u.{c}

@star
UPDATE users SET {c} = 'x' FROM orders o WHERE o.user_id = users.id AND o.id = 1 RETURNING *

@star
UPDATE users SET {c} = 'x' FROM orders o WHERE o.user_id = users.id AND o.id = 1 RETURNING o.*, users.{c}

UPDATE users SET {c} = x.n FROM (SELECT id, {c} || '!' AS n FROM users) x WHERE x.id = users.id AND x.id < 4

UPDATE users SET {c} = x.{c} FROM (SELECT id, upper({c}) AS {c} FROM users) x WHERE x.id = users.id AND x.id < 4 RETURNING users.{c}

UPDATE users SET {c} = x.v FROM (VALUES (1, 'one'), (2, 'two')) AS x(k, v) WHERE x.k = users.id RETURNING id, {c}

UPDATE orders SET name = u.{c} FROM users u WHERE u.id = orders.user_id

@auto refused
UPDATE orders SET name = (SELECT {c} FROM users WHERE users.id = orders.user_id)

UPDATE people SET full_name = {c} FROM users WHERE users.id = people.id AND users.{c} <> 'x'

UPDATE people SET full_name = u.{c} FROM users u WHERE u.id = people.id RETURNING full_name, u.{c}

UPDATE users SET {c} = 'x' WHERE id IN (SELECT user_id FROM orders WHERE total > 5) RETURNING id

UPDATE users SET {c} = 'x' WHERE EXISTS (SELECT 1 FROM orders o WHERE o.name = users.{c}) RETURNING id

@star
UPDATE users SET {c} = 'x' WHERE id = 2 RETURNING *

@star
UPDATE users AS u SET {c} = 'x' WHERE id = 2 RETURNING u.*, {c}

UPDATE users SET {c} = 'x' WHERE id = 2 RETURNING {c} AS x, upper({c}), id

UPDATE ONLY users SET {c} = 'x' WHERE id = 2

UPDATE users * SET {c} = 'x' WHERE id = 2

/* a */ UPDATE /* b */ users /* c */ SET /* d */ {c} /* e */ = /* f */ 'x' /* g */ , /* h */ age = 1 /* i */ WHERE /* j */ id = 2 /* k */

UPDATE users AS {c} SET {c} = 'x' WHERE {c}.{c} = 'Bob'

UPDATE users AS {other} SET {c} = {other}.{c} || 'x' WHERE id = 2 RETURNING {other}.{c}

UPDATE users SET id = 100, {c} = 'moved' WHERE id = 12

UPDATE users SET id = 100 WHERE id = 12

@@ Odds and ends.

UPDATE users SET {c} = CASE WHEN NOT {c} = 'Ann' THEN 'other' ELSE {c} END

UPDATE users SET age = CASE WHEN {c} = 'Ann' THEN 1 ELSE 0 END RETURNING id, age

UPDATE users SET {c} = 'x' WHERE NOT {c} = 'Ann'

UPDATE users SET {c} = tick() WHERE {c} = tick()

UPDATE users SET ({c}, email) = ({c} || '1', {c} || '2') WHERE id = 2

UPDATE users SET (email, {c}) = (SELECT {c}, email) WHERE id = 2

UPDATE users SET ({c}, age) = (SELECT v.{c}, count(*) FROM users v WHERE v.{c} = users.{c} GROUP BY v.{c}) WHERE id IN (1, 2)

UPDATE users SET ({c}, age) = (SELECT tick(), 5) WHERE id < 4

UPDATE users SET {c} = DEFAULT, email = {c} WHERE id = 2 RETURNING {c}, email

UPDATE users SET {c} = upper({c}), age = length({c}) WHERE {c} LIKE 'A%' RETURNING {c}, age

@star
UPDATE users SET {c} = 'x' WHERE id = 2 RETURNING users

@star
UPDATE users u SET {c} = row_to_json(u)->>'email' WHERE id = 2 RETURNING {c}

UPDATE users SET {c} = 'a' || $$b$$ || E'\n' WHERE id = 2

@params ["x"]
UPDATE users SET {c} = $1
