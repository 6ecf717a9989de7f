SELECT id, full_address, upper(full_address) FROM addresses ORDER BY full_address, id

SELECT id FROM addresses WHERE full_address = '2 Low Rd, Rye'

SELECT id FROM addresses WHERE full_address IS NULL ORDER BY id

SELECT id FROM addresses WHERE full_address LIKE '%Ely' ORDER BY id

SELECT id, full_address = '2 Low Rd, Rye' FROM addresses ORDER BY id

SELECT full_address, count(*) FROM addresses GROUP BY full_address ORDER BY 1

@star
SELECT * FROM addresses ORDER BY id

@params ["2 Low Rd, Rye"]
SELECT id FROM addresses WHERE full_address = $1

UPDATE addresses SET full_address = '3 Mews, Deal'

UPDATE addresses SET full_address = '3 Mews, Deal' WHERE id = 2 RETURNING full_address

UPDATE addresses SET full_address = NULL WHERE id < 3 RETURNING full_address

UPDATE addresses SET full_address = full_address || '!' RETURNING id, full_address

UPDATE addresses SET full_address = full_address

UPDATE addresses SET full_address = DEFAULT WHERE id = 2 RETURNING full_address

UPDATE addresses SET full_address = nextval('ticks') || ', X' WHERE id < 3 RETURNING full_address

UPDATE addresses SET full_address = (SELECT '3 Mews, Deal') WHERE id = 2 RETURNING full_address

UPDATE addresses SET (full_address, age) = (SELECT '3 Mews, Deal', 3) WHERE id = 2 RETURNING full_address

UPDATE addresses SET age = 3 WHERE full_address IS NULL RETURNING id

@known a lossy value comes back as it can from contract on
UPDATE addresses SET full_address = 'nowhere' WHERE id = 2 RETURNING full_address

@params ["3 Mews, Deal"]
UPDATE addresses SET full_address = $1 WHERE id = 2 RETURNING full_address

@params [null]
UPDATE addresses SET full_address = $1 WHERE id = 2 RETURNING full_address

INSERT INTO addresses (full_address) VALUES ('3 Mews, Deal'), (NULL), (DEFAULT) RETURNING full_address

INSERT INTO addresses (email) VALUES ('n') RETURNING full_address

@params ["3 Mews, Deal"]
INSERT INTO addresses (full_address, email) VALUES ($1, $1) RETURNING full_address

INSERT INTO addresses (id, full_address) SELECT 200 + id, full_address FROM addresses

INSERT INTO addresses (id, full_address) VALUES (2, '3 Mews, Deal') ON CONFLICT (id) DO UPDATE SET full_address = EXCLUDED.full_address RETURNING full_address

INSERT INTO addresses (id, full_address) VALUES (2, '3 Mews, Deal') ON CONFLICT (id) DO UPDATE SET full_address = addresses.full_address || '!' RETURNING full_address

DELETE FROM addresses WHERE full_address LIKE '%Rye' RETURNING id, full_address

@simple
COPY addresses (full_address) TO STDOUT
