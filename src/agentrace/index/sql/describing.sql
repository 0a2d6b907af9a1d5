-- What the index offers.

-- name: columns
-- The columns of every view.
SELECT c.table_name, c.column_name, c.data_type
FROM duckdb_columns() c JOIN duckdb_views() v ON v.view_name = c.table_name AND NOT v.internal
ORDER BY c.table_name, c.column_index;
