INSERT INTO users ({c}) VALUES ('x')

INSERT INTO users ({c}, email) VALUES ('x', 'y@x') RETURNING id

INSERT INTO users (email, {c}) VALUES ('y@x', 'x') RETURNING id, {c}

INSERT INTO users (email, {c}, age) VALUES ('y@x', 'x', 5), ('z@x', 'y', 6), (NULL, 'z', NULL) RETURNING id, {c}, age

INSERT INTO public.users ({c}) VALUES ('x') RETURNING users.{c}

INSERT INTO public.users ({c}) VALUES ('x') RETURNING public.users.{c}

INSERT INTO users AS u ({c}) VALUES ('x') RETURNING u.{c}, u.id

INSERT INTO users ({q}) VALUES ('x') RETURNING {q}

INSERT INTO users ( {c} , age ) VALUES ( 'x' , 1 ) ;

INSERT INTO users({c})VALUES('x')RETURNING{q}

INSERT INTO users ({c}) VALUES ('x') RETURNING {c} AS email

INSERT INTO users ({c}) VALUES ('x') RETURNING upper({c}), {c} || '!', length({c})

INSERT INTO users ({c}) VALUES ('x') RETURNING (SELECT max({c}) FROM users)

INSERT INTO users ({c}) VALUES ('x') RETURNING (SELECT u.{c} FROM users u WHERE u.id = 1), {c}

@star
INSERT INTO users ({c}) VALUES ('x') RETURNING *

@star
INSERT INTO users ({c}) VALUES ('x') RETURNING users.*

@star
INSERT INTO users AS u ({c}) VALUES ('x') RETURNING u.*, u.{c}

@star
INSERT INTO users (email) VALUES ('y@x') RETURNING *

INSERT INTO users (email) VALUES ('y@x')

INSERT INTO users (email) VALUES ('y@x') RETURNING {c}

INSERT INTO users (email, age) VALUES ('y@x', 1), ('z@x', 2) RETURNING {c}, id

INSERT INTO users ({c}) VALUES (DEFAULT) RETURNING {c}

INSERT INTO users (email, {c}) VALUES (DEFAULT, DEFAULT) RETURNING {c}, email

INSERT INTO users ({c}) VALUES ('x'), (DEFAULT), ('y') RETURNING {c}

INSERT INTO users (id, {c}) VALUES (DEFAULT, 'x') RETURNING id

INSERT INTO users DEFAULT VALUES

INSERT INTO users DEFAULT VALUES RETURNING {c}

@star
INSERT INTO users DEFAULT VALUES RETURNING *

@variants plain
INSERT INTO users ({c}) VALUES (NULL) RETURNING {c}

@variants plain
INSERT INTO users ({c}, age) VALUES (NULL, 1), ('x', 2), (DEFAULT, 3) RETURNING {c}

INSERT INTO users ({c}) VALUES ('a' || 'b') RETURNING {c}

INSERT INTO users ({c}) VALUES (upper('a')) RETURNING {c}

INSERT INTO users ({c}) VALUES (CASE WHEN true THEN 'a' ELSE 'b' END) RETURNING {c}

INSERT INTO users ({c}) VALUES ('a'::text) RETURNING {c}

INSERT INTO users ({c}) VALUES ('abcdef'::varchar(3)) RETURNING {c}

INSERT INTO users ({c}) VALUES ('a'::char(10)) RETURNING {c}, length({c})

INSERT INTO users ({c}) VALUES (('a')) RETURNING {c}

INSERT INTO users ({c}) VALUES (E'a\nb') RETURNING {c}

INSERT INTO users ({c}) VALUES ('Zoë' /* 日本 */) RETURNING {c}

INSERT INTO users ({c}) VALUES (current_user) RETURNING {c}

INSERT INTO users ({c}) VALUES ('1234567890123456789012345678901234567890') RETURNING length({c})

INSERT INTO users ({c}) VALUES ('1234567890123456789012345678901234567890   '::varchar(40)) RETURNING length({c})

INSERT INTO users ({c}) VALUES ((SELECT full_name FROM people WHERE id = 1)) RETURNING {c}

INSERT INTO users ({c}) VALUES ((SELECT max({c}) FROM users)) RETURNING {c}

@@ Computed once, or refused.

INSERT INTO users ({c}) VALUES (tick()) RETURNING {c}

INSERT INTO users ({c}) VALUES (tick()), ('x'), (tick()) RETURNING {c}

INSERT INTO users ({c}) VALUES (random()::text) RETURNING {c}

INSERT INTO users ({c}, email) VALUES ('x' || nextval('ticks'), 'y' || random()) RETURNING {c}, email

INSERT INTO users (email, {c}) VALUES (tick(), 'x') RETURNING email, {c}

INSERT INTO users (email, {c}) VALUES ('t' || nextval('ticks'), 'x') RETURNING email, {c}

@@ Without a list of columns.

@only old
INSERT INTO users VALUES (200, 'x', 'y@x', 5, '2024-02-02')

@only new
@star
INSERT INTO users VALUES (200, 'y@x', 5, '2024-02-02', 'x')

@only old
INSERT INTO users VALUES (200, 'x') RETURNING id, {c}, email

@only old
INSERT INTO users VALUES (200, 'x', DEFAULT, 5) RETURNING id, {c}, email

@only new
@star
INSERT INTO users VALUES (200, 'y@x') RETURNING id, {c}, email

@only new
@star
INSERT INTO users VALUES (200, 'y@x', 5, DEFAULT, DEFAULT) RETURNING id, {c}, email

@star
INSERT INTO users VALUES (200) RETURNING id, {c}

@star
INSERT INTO users VALUES (DEFAULT) RETURNING id, {c}

@star
INSERT INTO users AS u VALUES (200) RETURNING u.*

@star
INSERT INTO users VALUES (1, 'a', 'b', 3, '2024-01-01', 'x', 'too many')

@only old
INSERT INTO users VALUES (200, 'x', 'y@x', 5), (201, 'y', 'z@x', 6) RETURNING *

@only old
INSERT INTO users VALUES (200, 'x', 'a', 1), (201, DEFAULT, 'b', 2), (DEFAULT, 'z', DEFAULT, 3) RETURNING *

@only old
INSERT INTO users SELECT 200, 'x', 'y@x', 5

@star
INSERT INTO users SELECT * FROM users WHERE false

@star
INSERT INTO users TABLE users

@@ From a query.

INSERT INTO users ({c}) SELECT full_name FROM people WHERE id < 3 ORDER BY id

INSERT INTO users ({c}, email) SELECT {c} || '2', email || '2' FROM users WHERE id < 3 ORDER BY id

INSERT INTO users ({c}) SELECT {c} FROM users WHERE {c} = 'Ann' ORDER BY id RETURNING {c}, id

INSERT INTO users ({c}) SELECT tick() RETURNING {c}

INSERT INTO users ({c}) SELECT 'x' UNION ALL SELECT 'y' RETURNING {c}

INSERT INTO users ({c}) (SELECT 'x') RETURNING {c}

INSERT INTO users ({c}) WITH q AS (SELECT 'x' AS v) SELECT v FROM q RETURNING {c}

INSERT INTO users (email) SELECT {c} FROM users WHERE id = 1

@refused required
INSERT INTO users ({c}) VALUES ('b'), ('a') ORDER BY 1 RETURNING {c}

INSERT INTO people SELECT id + 200, {c} FROM users WHERE {c} IS NOT NULL

INSERT INTO people (id, full_name) SELECT id + 200, {c} FROM users WHERE {c} = 'Ann' RETURNING full_name

INSERT INTO people (id, full_name) VALUES (300, (SELECT {c} FROM users WHERE id = 1)) RETURNING full_name

INSERT INTO orders (id, user_id, name) SELECT 100, id, {c} FROM users WHERE id = 1 RETURNING name

INSERT INTO users OVERRIDING SYSTEM VALUE VALUES (200) RETURNING id

INSERT INTO users (id, {c}) OVERRIDING USER VALUE VALUES (200, 'x') RETURNING id, {c}

@@ Conflicts.

INSERT INTO users (id, {c}) VALUES (1, 'x') ON CONFLICT DO NOTHING

INSERT INTO users (id, {c}) VALUES (1, 'x') ON CONFLICT (id) DO NOTHING RETURNING {c}

INSERT INTO users (id, {c}) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c}

INSERT INTO users (id, {c}) VALUES (2, 'x'), (200, 'y') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING id, {c}

INSERT INTO users (id, {c}) VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET {c} = excluded.{c} || users.{c} RETURNING {c}

INSERT INTO users AS u (id, {c}) VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET {c} = excluded.{c} || u.{c} RETURNING u.{c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = 'met ' || users.{c}, age = users.age + 1 RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} WHERE users.{c} = 'Bob' RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} WHERE users.{c} <> EXCLUDED.{c} RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} WHERE users.{c} = 'nobody' RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET age = 1 RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET age = length(EXCLUDED.{c}) RETURNING age

INSERT INTO users (email, age) VALUES ('bob@x', 1) ON CONFLICT (email) DO UPDATE SET {c} = 'x' RETURNING {c}, age

INSERT INTO users (email, age) VALUES ('bob@x', 1) ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = DEFAULT RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET ({c}, age) = (EXCLUDED.{c}, 3) RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET ({c}, age) = ROW(EXCLUDED.{c}, 3) RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET ({c}, age) = (SELECT 'y', 3) RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = tick() RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = (SELECT max({c}) FROM users) RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT ON CONSTRAINT users_email_key DO UPDATE SET {c} = EXCLUDED.{c} RETURNING {c}

@star
INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING *

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT ({c}) DO NOTHING

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = nothing

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = EXCLUDED.nothing

INSERT INTO users (id, {c}) VALUES (1, '12345678901234567890123456789012345678901') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, {c}) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {c} = repeat(EXCLUDED.{c}, 41)

INSERT INTO users (id, {c}) VALUES (1, 'x'), (1, 'y') ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c}

@@ Ordinals and duplicates in a query's own order.

INSERT INTO users ({c}) SELECT full_name FROM people WHERE full_name IS NOT NULL ORDER BY 1 RETURNING id, {c}

INSERT INTO users ({c}) SELECT full_name FROM people WHERE full_name IS NOT NULL ORDER BY full_name DESC RETURNING id, {c}

INSERT INTO users (age, {c}) SELECT count(*), name FROM orders WHERE name IS NOT NULL GROUP BY 2 ORDER BY 2 RETURNING id, {c}

INSERT INTO users ({c}, age) SELECT DISTINCT name, 1 FROM orders WHERE name IS NOT NULL ORDER BY name RETURNING id, {c}

INSERT INTO users ({c}, age) SELECT DISTINCT ON (1) name, id FROM orders WHERE name IS NOT NULL ORDER BY 1, 2 RETURNING id, {c}, age

INSERT INTO users ({c}) SELECT tick() FROM orders ORDER BY id RETURNING id, {c}

INSERT INTO users ({c}) SELECT name FROM orders WHERE name > 'C' UNION SELECT full_name FROM people WHERE full_name < 'C' ORDER BY 1 RETURNING id, {c}

INSERT INTO users ({c}) SELECT name FROM orders WHERE name IS NOT NULL ORDER BY id LIMIT 2 RETURNING id, {c}

INSERT INTO users ({c}) SELECT u.{c} FROM users u WHERE u.id < 4 ORDER BY u.{c}, u.id RETURNING id, {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET ({c}, age) = (SELECT EXCLUDED.{c}, length(users.{c})) RETURNING {c}, age

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = (SELECT max(o.name) FROM orders o WHERE o.name > EXCLUDED.{c} OR o.user_id = users.id) RETURNING {c}

INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) WHERE true DO UPDATE SET {c} = EXCLUDED.{c} RETURNING {c}

@star
INSERT INTO users ({c}) VALUES ('x') RETURNING users

@refused
@star
INSERT INTO users (email, {c}) VALUES ('bob@x', 'x') ON CONFLICT (email) DO UPDATE SET {c} = row_to_json(EXCLUDED.*)->>'email' RETURNING {c}

INSERT INTO users (id, {c}) SELECT 210, NULL UNION ALL SELECT 211, 'z' RETURNING id, {c}

INSERT INTO users (id, {c}) SELECT DISTINCT id + 300, NULLIF({c}, 'Ann') FROM users RETURNING id, {c}

@@ Sources with more or fewer columns than are named.

INSERT INTO {t} ({c}) SELECT 'x', 'y' FROM generate_series(1, 2) LIMIT 1

INSERT INTO {t} ({c}, email) SELECT 'x' FROM generate_series(1, 2) LIMIT 1

INSERT INTO {t} (id, {c}) (SELECT 50, 'x' UNION ALL SELECT 51, 'y') ORDER BY 1 LIMIT 1

INSERT INTO {t} (id, {c}) SELECT DISTINCT 50, 'x', 'z'
