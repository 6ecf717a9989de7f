@copy "21\t5\n22\t\\N\n"
COPY products (id, {c}) FROM STDIN

@copy "5,21,x\n,22,y\n"
COPY products ({c}, id, email) FROM STDIN CSV

@copy "id;{c}\n21;5\n"
COPY products (id, {c}) FROM STDIN (FORMAT csv, DELIMITER ';', HEADER)

@copy "21\n22\n"
COPY products (id) FROM STDIN
---
SELECT {c} FROM products WHERE id > 20 ORDER BY id

@copy "21\t5\n22\t6\n"
COPY products (id, {c}) FROM STDIN WHERE {c} = '5'

@copy "21\t5\nx\t6\n"
COPY products (id, {c}) FROM STDIN

@copy "21\t5\n1\t6\n"
COPY products (id, {c}) FROM STDIN

@copy "21\t5\t6\n"
COPY products (id, {c}) FROM STDIN
