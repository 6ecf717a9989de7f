@@ Upserts on a column that two became.

INSERT INTO members (id, full_name) VALUES (50, 'Eve Fox') ON CONFLICT (full_name) DO NOTHING RETURNING id, full_name

INSERT INTO members (id, full_name) VALUES (50, 'Ann Lee') ON CONFLICT (full_name) DO NOTHING RETURNING id

INSERT INTO members (id, full_name) VALUES (50, 'Ann Lee') ON CONFLICT (full_name) DO UPDATE SET age = 1, full_name = EXCLUDED.full_name || 's' RETURNING id, full_name, age

INSERT INTO members (id, full_name) VALUES (50, 'Ann Lee') ON CONFLICT ON CONSTRAINT one_value DO UPDATE SET age = members.age + 1 RETURNING id, age

INSERT INTO members (id, full_name) VALUES (50, 'Ann Ray'), (51, 'Eve Fox') ON CONFLICT (full_name) DO UPDATE SET full_name = 'Una Ray' RETURNING id, full_name

INSERT INTO members (id, full_name) VALUES (50, 'Ann Lee')

UPDATE members SET full_name = 'Ann Ray' WHERE id = 1

@params ["Ann Ray"]
INSERT INTO members (id, full_name) VALUES (50, $1) ON CONFLICT (full_name) DO UPDATE SET age = 8 RETURNING id, full_name, age

INSERT INTO members (id, full_name) VALUES (50, 'Ann Lee') ON CONFLICT (full_name, id) DO NOTHING
