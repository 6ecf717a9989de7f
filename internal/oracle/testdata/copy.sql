@copy "21\tAnn\n22\tBob\\\\x\n"
COPY users (id, {c}) FROM STDIN

@copy "21,\"a,\"\"b\"\"\nc\",x\r\n22,,\r\n"
COPY users (id, {c}, email) FROM STDIN (FORMAT csv)

@copy "Ann|21\nnone|22\n"
COPY users ({c}, id) FROM STDIN WITH DELIMITER '|' NULL 'none'

@copy "{c}\n'x'\n"
COPY users ({c}) FROM STDIN CSV HEADER QUOTE ''''

@copy "21;'it\\'s';7\n"
COPY users (id, {c}, age) FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\', FORCE_NULL ({c}), FORCE_NOT_NULL (id))

@copy "21\tAnn\tx\n22\tBob\ty\n23\tAnn\tz\n"
COPY users (id, {c}, email) FROM STDIN WHERE {c} = 'Ann' AND users.email <> 'z'

@copy "21\n22\n"
COPY users (id) FROM STDIN
---
SELECT {c} FROM users WHERE id > 20 ORDER BY id

@copy "21\tabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHI\n"
COPY users (id, {c}) FROM STDIN

@copy "21\tx\nno\ty\n"
COPY users (id, {c}) FROM STDIN

@copy "21\tx\n22\n"
COPY users (id, {c}) FROM STDIN

@copy "21\tx\ty\n"
COPY users (id, {c}) FROM STDIN

@copy "21\tx\n1\ty\n"
COPY users (id, {c}) FROM STDIN

@copy "id,other\n21,x\n"
COPY users (id, {c}) FROM STDIN (FORMAT csv, HEADER match)

@copy "21\tx\n"
COPY users (id, {other}) FROM STDIN

@copy "21\tx\n"
COPY users (id, email) FROM STDIN WHERE {c} IS NOT NULL

COPY users (id, {c}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE ({c}))

COPY users (id, {c}) TO STDOUT BINARY
