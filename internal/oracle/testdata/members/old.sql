@@ Upserts on columns that become one.

INSERT INTO members (id, first_name, last_name) VALUES (50, 'Eve', 'Fox') ON CONFLICT (first_name, last_name) DO NOTHING RETURNING id, first_name, last_name

INSERT INTO members (id, first_name, last_name) VALUES (50, 'Ann', 'Lee') ON CONFLICT (last_name, first_name) DO NOTHING RETURNING id

INSERT INTO members (id, first_name, last_name) VALUES (50, 'Ann', 'Lee') ON CONFLICT (first_name, last_name) DO UPDATE SET age = 1, last_name = EXCLUDED.last_name || 's' RETURNING id, first_name, last_name, age

INSERT INTO members (id, first_name, last_name) VALUES (50, 'Ann', 'Lee') ON CONFLICT ON CONSTRAINT one_value DO UPDATE SET age = members.age + 1 RETURNING id, age

INSERT INTO members (id, last_name, first_name) VALUES (50, 'Ray', 'Ann'), (51, 'Fox', 'Eve') ON CONFLICT (first_name, last_name) DO UPDATE SET first_name = 'Una' RETURNING id, first_name, last_name

INSERT INTO members (id, first_name, last_name) VALUES (50, 'Ann', 'Lee')

UPDATE members SET last_name = 'Ray' WHERE id = 1

@params ["Ann", "Ray"]
INSERT INTO members (id, first_name, last_name) VALUES (50, $1, $2) ON CONFLICT (first_name, last_name) DO UPDATE SET age = 8 RETURNING id, first_name, last_name, age

@refused
INSERT INTO members (id, first_name, last_name) VALUES (50, 'Ann', 'Lee') ON CONFLICT (first_name) DO NOTHING
