-- The index written again into a new file, which has its tables and views and no rows yet.

-- name: attach
ATTACH '{path}' AS before (READ_ONLY);

-- name: tables
-- All but what a file says of itself.
SELECT table_name FROM duckdb_tables() WHERE database_name = 'before' AND table_name <> 'meta' ORDER BY 1;

-- name: copy
-- In the order in which they stand.
INSERT INTO {table} SELECT * FROM before.main.{table};

-- name: detach
DETACH before;
