@only old
@copy "21\tAnn\tLee\n22\tBob\tRoe\n"
COPY persons (id, first_name, last_name) FROM STDIN

@only new
@copy "21\tAnn Lee\n22\tBob Roe\n"
COPY persons (id, full_name) FROM STDIN

@only new
@copy "Ann Lee,21\nBob Roe,x\n"
COPY persons (full_name, id) FROM STDIN CSV
