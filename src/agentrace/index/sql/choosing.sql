-- Which runs are meant: every filter is a parameter, NULL where it is not asked for.

-- name: names
-- All that a column tells of any run, once each; patterns are compared with these.
SELECT DISTINCT CASE $column
    WHEN 'name' THEN coalesce(name, '')
    WHEN 'workflow' THEN coalesce(workflow, '')
    WHEN 'agent' THEN coalesce(agent, '')
    WHEN 'session' THEN coalesce(session_id, '')
    WHEN 'project' THEN coalesce(project, '')
END
FROM run_rows;

-- name: models
-- All models that served any run.
SELECT DISTINCT unnest(models) FROM run_rows;

-- name: everything
-- No filter.
CREATE OR REPLACE TEMP TABLE chosen AS SELECT run_key FROM run_rows;

-- name: choose
-- The runs that every filter lets through. An id begins with the milliseconds at which its run did: what counts where
-- the record cannot be read.
CREATE OR REPLACE TEMP TABLE chosen AS
WITH begun AS (
    SELECT
        *,
        coalesce(started_ts, ('0x' || replace(left(run_id::VARCHAR, 13), '-', ''))::HUGEINT * 1_000_000) AS began
    FROM run_rows
)
SELECT run_key
FROM begun
WHERE ($since::BIGINT IS NULL OR began >= $since)
    AND ($until::BIGINT IS NULL OR began < $until)
    AND ($statuses::VARCHAR[] IS NULL OR list_contains($statuses, status))
    AND ($names::VARCHAR[] IS NULL OR coalesce(name, '') IN (SELECT unnest($names::VARCHAR[])))
    AND ($workflows::VARCHAR[] IS NULL OR coalesce(workflow, '') IN (SELECT unnest($workflows::VARCHAR[])))
    AND ($agents::VARCHAR[] IS NULL OR coalesce(agent, '') IN (SELECT unnest($agents::VARCHAR[])))
    AND ($sessions::VARCHAR[] IS NULL OR coalesce(session_id, '') IN (SELECT unnest($sessions::VARCHAR[])))
    AND ($projects::VARCHAR[] IS NULL OR coalesce(project, '') IN (SELECT unnest($projects::VARCHAR[])))
    AND ($kinds::VARCHAR[] IS NULL OR list_has_any(kinds, $kinds))
    AND ($models::VARCHAR[] IS NULL OR list_has_any(models, $models))
    AND ($tags::VARCHAR[] IS NULL OR list_has_all(coalesce(tags, []), $tags))
    AND ($least_tokens::BIGINT IS NULL OR input_tokens + output_tokens >= $least_tokens)
    AND ($most_tokens::BIGINT IS NULL OR input_tokens + output_tokens <= $most_tokens)
    AND ($least_ns::BIGINT IS NULL OR duration_ns >= $least_ns)
    AND ($most_ns::BIGINT IS NULL OR duration_ns <= $most_ns)
    AND ($replayable::BOOLEAN IS NULL OR replayable = $replayable)
    AND ($replays::BOOLEAN IS NULL OR (mode <> 'live') = $replays);

-- name: choose_by_text
-- Of the chosen runs those that hold a text, in any of its spellings; a spelling that is not needed is NULL.
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT run_key
FROM chosen
WHERE run_key IN (
    SELECT run_key
    FROM (
        SELECT run_key, CASE WHEN $cased THEN text ELSE lower(text) END AS told FROM text_rows
        UNION ALL
        SELECT run_key, CASE WHEN $cased THEN text ELSE lower(text) END FROM message_rows
        UNION ALL
        SELECT run_key, CASE WHEN $cased THEN error ELSE lower(error) END FROM run_rows
    )
    WHERE contains(told, CASE WHEN $cased THEN $form1::VARCHAR ELSE lower($form1::VARCHAR) END)
        OR contains(told, CASE WHEN $cased THEN $form2::VARCHAR ELSE lower($form2::VARCHAR) END)
        OR contains(told, CASE WHEN $cased THEN $form3::VARCHAR ELSE lower($form3::VARCHAR) END)
        OR contains(told, CASE WHEN $cased THEN $form4::VARCHAR ELSE lower($form4::VARCHAR) END)
        OR contains(told, CASE WHEN $cased THEN $form5::VARCHAR ELSE lower($form5::VARCHAR) END)
);

-- name: ids
-- The chosen runs, the oldest first.
SELECT run_id FROM run_rows JOIN chosen USING (run_key) ORDER BY run_id;

-- name: count
SELECT count(*) FROM run_rows;

-- name: found
-- The chosen runs in the order that is asked for, with how many processes and jobs are below each, and how many of
-- these went wrong.
WITH RECURSIVE below AS (
    SELECT parent_run_id AS outer_id, run_id, is_job, status
    FROM run_rows
    WHERE parent_run_id < run_id
    UNION ALL
    SELECT r.parent_run_id, b.run_id, b.is_job, b.status
    FROM below b JOIN run_rows r ON r.run_id = b.outer_id
    WHERE r.parent_run_id < r.run_id
),
counts AS (
    SELECT
        outer_id,
        count(*) FILTER (NOT is_job) AS processes,
        count(*) FILTER (is_job) AS jobs,
        count(*) FILTER (list_contains($badly::VARCHAR[], status)) AS failed
    FROM below
    GROUP BY outer_id
),
placed AS (
    SELECT
        r.run_id, r.parent_run_id, r.parent_step_id, r.is_job, r.mode,
        row_number() OVER (
            ORDER BY
                CASE $sort
                    WHEN 'duration' THEN coalesce(r.duration_ns, -1)
                    WHEN 'tokens' THEN r.input_tokens + r.output_tokens
                    WHEN 'steps' THEN r.steps
                    ELSE 0
                END DESC,
                left(r.run_id::VARCHAR, 13) DESC, r.started_ts DESC, r.run_id DESC  -- an id begins with its millisecond
        ) AS place
    FROM run_rows r JOIN chosen USING (run_key)
    WHERE NOT $roots
        OR r.parent_run_id IS NULL
        OR r.parent_run_id >= r.run_id
        OR r.parent_run_id NOT IN (SELECT run_id FROM run_rows)
)
SELECT
    p.run_id, p.parent_run_id, p.parent_step_id, p.is_job,
    coalesce(c.processes, 0), coalesce(c.jobs, 0), coalesce(c.failed, 0),
    count(*) OVER () AS matching
FROM placed p LEFT JOIN counts c ON c.outer_id = p.run_id
ORDER BY CASE WHEN $reverse THEN -place ELSE place END
LIMIT $number;
