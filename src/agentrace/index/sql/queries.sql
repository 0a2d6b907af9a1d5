-- What the indexer asks and does.

-- name: known_runs
-- What is indexed, and how far.
SELECT run_key, run_id, state, stamp, last_seq, facts FROM progress;

-- name: open_events
-- The events of runs that go on that may be needed to tell what comes.
SELECT run_key, seq, step_id, encoded FROM open_rows ORDER BY run_key, seq;

-- name: forget_open_rows
DELETE FROM open_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_open_steps
-- The events of steps that are over now.
DELETE FROM open_rows WHERE run_key = $run_key AND step_id IN (SELECT unnest($steps));

-- name: events_of_steps
-- The events, among those that are indexed, of these steps.
SELECT seq FROM event_rows WHERE run_key = $run_key AND step_id IN (SELECT unnest($steps)) ORDER BY seq;

-- name: paths
-- Where in the program these steps are.
SELECT step_id, path FROM step_rows WHERE run_key = $run_key AND step_id IN (SELECT unnest($steps));

-- name: forget_steps
-- The rows of steps that are told anew.
DELETE FROM step_rows WHERE run_key = $run_key AND step_id IN (SELECT unnest($steps));

-- name: forget_run_rows
DELETE FROM run_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_progress
DELETE FROM progress WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_step_rows
DELETE FROM step_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_event_rows
DELETE FROM event_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_text_rows
DELETE FROM text_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_message_rows
DELETE FROM message_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: forget_mark_rows
DELETE FROM mark_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: marks
-- What of the runs that go on was told.
SELECT run_key, of, mark FROM mark_rows;

-- name: forget_sum_rows
DELETE FROM sum_rows WHERE run_key IN (SELECT unnest($run_keys));

-- name: add_sums
-- The sums of runs by day, kind and model, from their steps.
INSERT INTO sum_rows
SELECT
    run_key,
    CAST(make_timestamp_ns(started_ts) AS DATE) AS day,
    coalesce(kind, '') AS kind,
    model,
    integration,
    count(*),
    count(*) FILTER (status = 'failed'),
    coalesce(sum(retries), 0),
    coalesce(sum(duration_ns), 0),
    coalesce(sum(input_fresh), 0),
    coalesce(sum(cache_read), 0),
    coalesce(sum(cache_write), 0),
    coalesce(sum(output_visible), 0),
    coalesce(sum(reasoning), 0),
    coalesce(sum(cost_nano_usd), 0)
FROM step_rows
WHERE run_key IN (SELECT unnest($run_keys))
GROUP BY run_key, day, kind, model, integration;

-- name: add_runs
-- The rows of runs, with the sums over their steps and events.
INSERT INTO run_rows
SELECT
    n.*,
    coalesce(e.events, 0),
    coalesce(s.steps, 0),
    coalesce(s.failed, 0),
    coalesce(s.retries, 0),
    coalesce(TRY_CAST(s.input_tokens AS BIGINT), 0),
    coalesce(TRY_CAST(s.output_tokens AS BIGINT), 0),
    s.models,
    s.kinds
FROM new_run_rows n
LEFT JOIN (
    SELECT
        run_key,
        sum(steps) AS steps,
        sum(failed) AS failed,
        sum(retries) AS retries,
        sum(input_fresh + cache_read + cache_write) AS input_tokens,
        sum(output_visible + reasoning) AS output_tokens,
        list(DISTINCT model ORDER BY model) FILTER (model IS NOT NULL) AS models,
        list(DISTINCT kind ORDER BY kind) FILTER (kind <> '') AS kinds
    FROM sum_rows WHERE run_key IN (SELECT unnest($run_keys)) GROUP BY run_key
) s USING (run_key)
LEFT JOIN (
    SELECT run_key, count(*) AS events FROM event_rows WHERE run_key IN (SELECT unnest($run_keys)) GROUP BY run_key
) e USING (run_key);

-- name: noted
SELECT value FROM meta WHERE key = $key;

-- name: forget_noted
DELETE FROM meta WHERE key = $key;

-- name: note
INSERT INTO meta VALUES ($key, $value);

-- name: forget_archives
DELETE FROM archive_rows;
