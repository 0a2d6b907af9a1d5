-- Before a query of somebody else is run: from here on nothing outside the index can be read or written, and nothing of
-- this can be taken back. What a query sorts that does not fit into memory goes to a directory that is then removed.

-- name: spill
SET temp_directory = $directory;

-- name: allow
-- The one file that may be written.
SET allowed_paths = [$path];

-- name: close_off
SET enable_external_access = false;

-- name: lock
SET lock_configuration = true;
