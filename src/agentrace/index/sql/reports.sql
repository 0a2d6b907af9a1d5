-- Sums over the steps of the chosen runs (the temporary table of `choosing.sql`).

-- name: groups
-- Steps by what they have in common: $by is name, model, kind or run. Times are those of steps that have ended. For
-- tokens these are the calls of models, also those that do not tell how many they used, which are counted.
WITH grouped AS (
    SELECT
        CASE $by
            WHEN 'name' THEN s.name
            WHEN 'model' THEN coalesce(s.model, '')
            WHEN 'kind' THEN coalesce(s.kind, '')
            ELSE r.run_id::VARCHAR
        END AS what,
        CASE WHEN $by = 'name' THEN coalesce(s.kind, '') WHEN $by = 'run' THEN coalesce(r.name, '') ELSE '' END AS more,
        s.*
    FROM step_rows s JOIN chosen USING (run_key) JOIN run_rows r USING (run_key)
    WHERE ($kinds::VARCHAR[] IS NULL OR list_contains($kinds, s.kind))
        AND ($models::VARCHAR[] IS NULL OR list_contains($models, s.model))
        AND ($order <> 'tokens' OR s.input_fresh IS NOT NULL OR list_contains($meant::VARCHAR[], s.kind))
),
added AS (
    SELECT
        what, more,
        count(*) AS steps,
        count(*) FILTER (status = 'failed') AS failed,
        coalesce(sum(duration_ns), 0)::BIGINT AS total_ns,
        coalesce(avg(duration_ns), 0)::BIGINT AS mean_ns,
        coalesce(quantile_disc(duration_ns, 0.5), 0) AS p50_ns,
        coalesce(quantile_disc(duration_ns, 0.95), 0) AS p95_ns,
        coalesce(max(duration_ns), 0) AS max_ns,
        coalesce(sum(input_fresh + cache_read + cache_write), 0)::BIGINT AS input_tokens,
        coalesce(sum(cache_read), 0)::BIGINT AS cached_tokens,
        coalesce(sum(output_visible + reasoning), 0)::BIGINT AS output_tokens,
        coalesce(max_by(error, started_ts) FILTER (status = 'failed'), '') AS last_error,
        coalesce(max(started_ts) FILTER (status = 'failed'), 0) AS last_failed_ts,
        count(*) FILTER (input_fresh IS NULL AND list_contains($meant::VARCHAR[], kind)) AS uncounted
    FROM grouped
    GROUP BY what, more
)
SELECT *, count(*) OVER () AS matching
FROM added
WHERE $order <> 'failing' OR failed > 0
ORDER BY
    CASE $order WHEN 'slowest' THEN total_ns WHEN 'tokens' THEN input_tokens + output_tokens ELSE failed END DESC,
    what, more
LIMIT $number;

-- name: single_steps
-- Steps one by one: the longest, those with most tokens, or the last that failed.
SELECT
    r.run_id, coalesce(r.name, ''), s.step_id, coalesce(s.kind, ''), s.name, coalesce(s.model, ''), s.status,
    s.started_ts, coalesce(s.duration_ns, 0),
    coalesce(s.input_fresh + s.cache_read + s.cache_write, 0),
    coalesce(s.output_visible + s.reasoning, 0),
    coalesce(s.error, ''),
    count(*) OVER () AS matching
FROM step_rows s JOIN chosen USING (run_key) JOIN run_rows r USING (run_key)
WHERE ($kinds::VARCHAR[] IS NULL OR list_contains($kinds, s.kind))
    AND ($models::VARCHAR[] IS NULL OR list_contains($models, s.model))
    AND CASE $order
        WHEN 'slowest' THEN s.duration_ns IS NOT NULL
        WHEN 'tokens' THEN s.input_fresh IS NOT NULL
        ELSE s.status = 'failed'
    END
ORDER BY
    CASE $order
        WHEN 'slowest' THEN s.duration_ns
        WHEN 'tokens' THEN s.input_fresh + s.cache_read + s.cache_write + s.output_visible + s.reasoning
        ELSE s.started_ts
    END DESC,
    r.run_id DESC, s.step_id DESC
LIMIT $number;

-- name: uncounted
-- How many calls of models do not tell how many tokens they used.
SELECT count(*)
FROM step_rows s JOIN chosen USING (run_key)
WHERE s.input_fresh IS NULL
    AND list_contains($meant::VARCHAR[], s.kind)
    AND ($kinds::VARCHAR[] IS NULL OR list_contains($kinds, s.kind))
    AND ($models::VARCHAR[] IS NULL OR list_contains($models, s.model));

-- name: run_counts
-- Runs by how they are.
SELECT status, count(*) FROM run_rows JOIN chosen USING (run_key) GROUP BY status ORDER BY count(*) DESC, status;

-- name: run_sums
-- All of them in one line.
SELECT
    count(*), count(*) FILTER (parent_run_id IS NOT NULL), count(*) FILTER (mode <> 'live'),
    count(*) FILTER (replayable), coalesce(sum(events), 0)::BIGINT, coalesce(min(started_ts), 0),
    coalesce(max(started_ts), 0)
FROM run_rows JOIN chosen USING (run_key);

-- name: kind_sums
-- Steps by kind.
SELECT
    kind, sum(steps)::BIGINT, sum(failed)::BIGINT, sum(retries)::BIGINT, sum(duration_ns)::BIGINT
FROM sum_rows JOIN chosen USING (run_key)
GROUP BY kind
ORDER BY sum(steps) DESC, kind;

-- name: model_sums
-- Tokens by model.
SELECT
    coalesce(model, ''), sum(steps)::BIGINT, sum(failed)::BIGINT, sum(input_fresh)::BIGINT, sum(cache_read)::BIGINT,
    sum(cache_write)::BIGINT, sum(output_visible)::BIGINT, sum(reasoning)::BIGINT
FROM sum_rows JOIN chosen USING (run_key)
WHERE model IS NOT NULL OR input_fresh + cache_read + cache_write + output_visible + reasoning > 0
GROUP BY model
ORDER BY sum(input_fresh + cache_read + cache_write + output_visible + reasoning) DESC, coalesce(model, '');

-- name: day_sums
-- Tokens by day (UTC) and the steps that used them, the oldest first.
SELECT
    day, sum(steps)::BIGINT, sum(failed)::BIGINT,
    sum(input_fresh + cache_read + cache_write)::BIGINT, sum(output_visible + reasoning)::BIGINT
FROM sum_rows JOIN chosen USING (run_key)
GROUP BY day
ORDER BY day;

-- name: last_failures
-- The errors that runs ended with, the most frequent first.
SELECT coalesce(error, ''), count(*), max(started_ts)
FROM run_rows JOIN chosen USING (run_key)
WHERE status IN ('failed', 'aborted', 'interrupted', 'unreadable')
GROUP BY error
ORDER BY count(*) DESC, max(started_ts) DESC, error
LIMIT $number;
