SELECT id, street, town, street || '/' || town AS x FROM addresses ORDER BY town, street, id

SELECT id FROM addresses WHERE town = 'Rye' ORDER BY id

SELECT id FROM addresses WHERE town IS NULL ORDER BY id

SELECT id FROM addresses WHERE NOT (town = 'Rye') ORDER BY id

SELECT id FROM addresses WHERE (street, town) = ('1 High St', 'Rye')

SELECT id, town = 'Rye' FROM addresses ORDER BY id

SELECT town, count(*), count(street) FROM addresses GROUP BY town ORDER BY 1

SELECT a.id, b.id FROM addresses a JOIN addresses b ON a.town = b.town AND a.id < b.id ORDER BY 1, 2

@star
SELECT * FROM addresses ORDER BY id

@params ["Rye"]
SELECT id FROM addresses WHERE town = $1 ORDER BY id

@refused
UPDATE addresses SET town = 'Deal'

@refused
UPDATE addresses SET town = 'Deal' WHERE id = 2 RETURNING street, town

@refused
UPDATE addresses SET town = 'Deal', street = '3 Mews' WHERE id IN (1, 2) RETURNING street, town

@refused
UPDATE addresses SET town = street, street = town WHERE id IN (1, 2) RETURNING street, town

@refused
UPDATE addresses SET street = NULL, town = NULL WHERE id IN (1, 2) RETURNING street, town

@refused
UPDATE addresses SET town = NULL WHERE id IN (1, 2) RETURNING street, town

@refused
UPDATE addresses SET town = DEFAULT, street = DEFAULT WHERE id = 2 RETURNING street, town

UPDATE addresses SET age = 3 WHERE town = 'Rye' RETURNING id, street

@refused
@params ["Deal"]
UPDATE addresses SET town = $1 WHERE id = 2 RETURNING street, town

@refused
INSERT INTO addresses (street, town) VALUES ('3 Mews', 'Deal') RETURNING street, town

@refused
@params ["3 Mews", "Deal"]
INSERT INTO addresses (street, town) VALUES ($1, $2) RETURNING street, town

INSERT INTO addresses (email) VALUES ('n') RETURNING street, town

@refused
INSERT INTO addresses (id, street, town) VALUES (2, '3 Mews', 'Deal') ON CONFLICT (id) DO UPDATE SET town = EXCLUDED.town RETURNING street, town

@refused
INSERT INTO addresses (id, street, town) SELECT 200 + id, street, town FROM addresses WHERE id < 4

DELETE FROM addresses WHERE town = 'Rye' RETURNING id, street, town

@simple
COPY addresses (street, town) TO STDOUT
