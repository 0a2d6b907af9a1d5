-- What `agentrace.open()` asks. Each query begins with the runs that are meant, `chosen`; a filter that is not asked for
-- is NULL. Columns are called as in the views; those that are called `duration` or `first_chunk` are nanoseconds here and
-- become durations. The newest run comes first, what is in a run in its order.

-- name: chosen
WITH chosen AS (
    SELECT run_key
    FROM run_rows r
    WHERE ($run_ids::UUID[] IS NULL OR list_contains($run_ids::UUID[], run_id))
        AND ($names::VARCHAR[] IS NULL OR list_contains($names::VARCHAR[], coalesce(name, '')))
        AND ($statuses::VARCHAR[] IS NULL OR list_contains($statuses::VARCHAR[], status))
        AND ($since::BIGINT IS NULL OR started_ts >= $since::BIGINT)
        AND ($until::BIGINT IS NULL OR started_ts < $until::BIGINT)
        AND ($kinds::VARCHAR[] IS NULL OR list_has_any(coalesce(kinds, []), $kinds::VARCHAR[]))
        AND ($models::VARCHAR[] IS NULL OR list_has_any(coalesce(models, []), $models::VARCHAR[]))
        AND ($tags::VARCHAR[] IS NULL OR list_has_all(coalesce(tags, []), $tags::VARCHAR[]))
        AND ($replayable::BOOLEAN IS NULL OR replayable = $replayable::BOOLEAN)
        AND ($modes::VARCHAR[] IS NULL OR list_contains($modes::VARCHAR[], mode))
        AND (
            $forms::VARCHAR[] IS NULL
            OR list_bool_or(list_transform($forms::VARCHAR[], lambda form: contains(lower(coalesce(error, '')), form)))
            OR run_key IN (
                SELECT t.run_key
                FROM text_rows t
                WHERE list_bool_or(list_transform($forms::VARCHAR[], lambda form: contains(lower(t.text), form)))
            )
        )
)

-- name: run_names
-- All names of runs: patterns are compared with these.
SELECT DISTINCT coalesce(name, '') FROM run_rows;

-- name: step_names
-- The same of steps.
SELECT DISTINCT name FROM step_rows;

-- name: models
-- All models that served a step, or were asked for.
SELECT DISTINCT model FROM step_rows WHERE model IS NOT NULL;

-- name: run_ids
SELECT run_id
FROM run_rows JOIN chosen USING (run_key)
ORDER BY left(run_id::VARCHAR, 13) DESC, started_ts DESC, run_id DESC  -- an id begins with its millisecond
LIMIT $number::BIGINT;

-- name: runs
SELECT
    run_id, name, status, health, started, duration_ns AS duration, duration_s, exit_code, error, workflow, agent,
    session_id, tenant, workspace, project, operator, tags, mode, source_run_id, verdict, parent_run_id, parent_step_id,
    is_job, sample_rate, replayable, because, caveats, steps, failed_steps, retries, inferred, input_tokens,
    output_tokens, models, kinds, events, argv, cwd, pid, python, platform, timezone, sdk, format, redaction, durability,
    git_commit, git_dirty, libraries, archive
FROM runs JOIN chosen USING (run_key)
ORDER BY left(run_id::VARCHAR, 13) DESC, started_ts DESC, run_id DESC
LIMIT $number::BIGINT;

-- name: wanted_steps
, wanted AS (
    SELECT s.*
    FROM steps s JOIN chosen USING (run_key)
    WHERE ($step_kinds::VARCHAR[] IS NULL OR list_contains($step_kinds::VARCHAR[], s.kind))
        AND ($step_names::VARCHAR[] IS NULL OR list_contains($step_names::VARCHAR[], s.name))
        AND ($step_statuses::VARCHAR[] IS NULL OR list_contains($step_statuses::VARCHAR[], s.status))
        AND ($step_models::VARCHAR[] IS NULL OR list_contains($step_models::VARCHAR[], s.model))
)

-- name: step_ids
SELECT run_id, step_id FROM wanted ORDER BY run_id DESC, step_id LIMIT $number::BIGINT;

-- name: steps
SELECT
    run_id, step_id, parent_step_id, kind, name, operation, path, status, outcome, started, duration_ns AS duration, duration_s,
    first_chunk_ns AS first_chunk, first_chunk_s, model, finish_reason, input_tokens,
    output_tokens, input_fresh, cache_read, cache_write, output_visible, reasoning, cost_nano_usd, error, input, output,
    chunks, exchanges, retries, notes, integration, call_site, scope_quality, thread, task, first_seq, last_seq,
    run_name, workflow, agent, session_id, tenant, workspace, project, operator
FROM wanted
ORDER BY run_id DESC, step_id
LIMIT $number::BIGINT;

-- name: messages
SELECT
    run_id, step_id, position, direction, role, text, reasoning, refusal, name, tool_call_id, failed, tool_calls, served,
    citations, media, run_name, session_id
FROM messages JOIN chosen USING (run_key)
WHERE ($roles::VARCHAR[] IS NULL OR list_contains($roles::VARCHAR[], role))
ORDER BY run_id DESC, step_id, position
LIMIT $number::BIGINT;

-- name: events
SELECT run_id, seq, step_id, type, time, body, run_name, workflow, agent, project, operator
FROM events JOIN chosen USING (run_key)
WHERE ($types::VARCHAR[] IS NULL OR list_contains($types::VARCHAR[], type))
ORDER BY run_id DESC, seq
LIMIT $number::BIGINT;

-- name: matches
-- Where a text is, in any of its spellings, and up to 100 characters on each side of where it is first.
, told AS (
    SELECT run_key, step_id, part, text, lower(text) AS folded FROM text_rows JOIN chosen USING (run_key)
    UNION ALL
    SELECT run_key, 0, 'error', error, lower(error) FROM run_rows JOIN chosen USING (run_key)
    WHERE error IS NOT NULL
        AND run_key NOT IN (SELECT run_key FROM text_rows WHERE step_id = 0 AND part = 'error')
),
found AS (
    SELECT
        run_key, step_id, part, text,
        list_min(list_filter(
            list_transform($sought::VARCHAR[], lambda form: instr(folded, form)), lambda place: place > 0
        )) AS place
    FROM told
)
SELECT
    r.run_id, f.step_id, f.part,
    substring(f.text, greatest(1, f.place - 100), 200 + length($sought[1])) AS excerpt,
    s.kind, s.name, coalesce(s.started, r.started) AS started, r.name AS run_name
FROM found f
JOIN runs r USING (run_key)
LEFT JOIN steps s ON s.run_key = f.run_key AND s.step_id = f.step_id
WHERE f.place IS NOT NULL
ORDER BY r.run_id DESC, f.step_id, f.part
LIMIT $number::BIGINT;

-- name: spill
-- Where a query may lay down what does not fit into memory.
SET temp_directory = $directory;

-- name: close_off
-- From here on nothing outside the index can be read or written.
SET enable_external_access = false;
