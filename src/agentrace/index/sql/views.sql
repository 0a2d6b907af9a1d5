-- The views that are promised to stay: columns are only ever added. `agentrace sql` shows them, and so may any
-- program that opens the file. One view for each type of event is in `event_views.sql`.

-- name: views
-- Runs, the newest last.
CREATE VIEW runs AS
SELECT
    run_id, name, status, health,
    make_timestamp_ns(started_ts) AS started,
    duration_ns / 1e9 AS duration_s,
    exit_code, error, workflow, agent, session_id, tenant, workspace, project, operator, tags,
    mode, source_run_id, verdict, parent_run_id, parent_step_id, is_job, sample_rate,
    replayable, because, caveats,
    steps, failed_steps, retries, inferred, input_tokens, output_tokens, models, kinds, events,
    argv, cwd, pid, python, platform, timezone, sdk, format, redaction, durability, git_commit, git_dirty, libraries,
    archive, started_ts, duration_ns, run_key
FROM run_rows LEFT JOIN archive_rows USING (run_id);

-- Steps with the run that they are of.
CREATE VIEW steps AS
SELECT
    r.run_id, s.step_id, s.parent AS parent_step_id, s.kind, s.name, s.operation, s.path,
    CASE WHEN s.status = 'running' AND r.status NOT IN ('pending', 'running') THEN 'interrupted' ELSE s.status END
        AS status,
    s.outcome,
    make_timestamp_ns(s.started_ts) AS started,
    s.duration_ns / 1e9 AS duration_s,
    s.first_chunk_ns / 1e9 AS first_chunk_s,
    s.model, s.finish_reason,
    s.input_fresh + s.cache_read + s.cache_write AS input_tokens,
    s.output_visible + s.reasoning AS output_tokens,
    s.input_fresh, s.cache_read, s.cache_write, s.output_visible, s.reasoning, s.cost_nano_usd,
    s.error, s.input, s.output, s.chunks, s.exchanges, s.retries, s.notes, s.integration, s.call_site,
    s.scope_quality, s.thread, s.task, s.first_seq, s.last_seq,
    r.name AS run_name, r.workflow, r.agent, r.session_id, r.tenant, r.workspace, r.project, r.operator,
    s.started_ts, s.duration_ns, s.first_chunk_ns, s.run_key
FROM step_rows s JOIN run_rows r USING (run_key);

-- Events with the run that they are of.
CREATE VIEW events AS
SELECT
    r.run_id, e.seq, e.step_id, e.type,
    make_timestamp_ns(e.ts) AS time,
    e.body,
    r.name AS run_name, r.workflow, r.agent, r.project, r.operator,
    e.ts, e.run_key
FROM event_rows e JOIN run_rows r USING (run_key);

-- Messages of conversations, each once in its run.
CREATE VIEW messages AS
SELECT
    r.run_id, m.step_id, m.position, m.direction, m.role, m.text, m.reasoning, m.refusal, m.name, m.tool_call_id,
    m.failed, m.tool_calls, m.served, m.citations, m.media, r.name AS run_name, r.session_id, m.run_key
FROM message_rows m JOIN run_rows r USING (run_key);

-- What can be searched.
CREATE VIEW texts AS
SELECT r.run_id, t.step_id, t.part, t.text, r.name AS run_name, t.run_key
FROM text_rows t JOIN run_rows r USING (run_key);

-- Tokens and noted costs of the steps that have any, 1e-9 US dollars.
CREATE VIEW costs AS
SELECT
    run_id, step_id, kind, name, model, integration, started, input_fresh, cache_read, cache_write, output_visible,
    reasoning, cost_nano_usd, run_name, workflow, agent, session_id, tenant, workspace, project, operator, run_key
FROM steps
WHERE cost_nano_usd IS NOT NULL OR input_fresh IS NOT NULL;

-- Sums by day, kind and model, over all runs.
CREATE VIEW daily AS
SELECT
    day, kind, model, integration,
    count(DISTINCT run_key) AS runs,
    sum(steps)::UBIGINT AS steps,
    sum(failed)::UBIGINT AS failed_steps,
    sum(retries)::UBIGINT AS retries,
    sum(duration_ns)::DOUBLE / 1e9 AS duration_s,
    TRY_CAST(sum(input_fresh + cache_read + cache_write) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(output_visible + reasoning) AS BIGINT) AS output_tokens,
    TRY_CAST(sum(input_fresh) AS BIGINT) AS input_fresh,
    TRY_CAST(sum(cache_read) AS BIGINT) AS cache_read,
    TRY_CAST(sum(cache_write) AS BIGINT) AS cache_write,
    TRY_CAST(sum(output_visible) AS BIGINT) AS output_visible,
    TRY_CAST(sum(reasoning) AS BIGINT) AS reasoning,
    TRY_CAST(sum(cost_nano_usd) AS BIGINT) AS cost_nano_usd
FROM sum_rows
GROUP BY ALL;

-- The names that other documents use for the same.
CREATE VIEW workflow_executions AS SELECT * FROM runs;
CREATE VIEW workflow_steps AS SELECT * FROM steps;
CREATE VIEW workflow_events AS SELECT * FROM events;

-- A run with its events as one JSON column. Heavy: name the run.
CREATE VIEW executions AS
SELECT
    r.run_id AS execution_id,
    r.name, r.status, r.workflow, r.agent, r.started,
    (SELECT sum(s.cost_nano_usd)::BIGINT FROM step_rows s WHERE s.run_key = r.run_key) AS total_cost,
    r.input_tokens + r.output_tokens AS spent_tokens,
    (SELECT count(*) FILTER (type = 'ApprovalRequested') - count(*) FILTER (type = 'ApprovalApplied')
        FROM event_rows e WHERE e.run_key = r.run_key) AS approvals_pending,
    (SELECT max(s.step_id) FROM step_rows s WHERE s.run_key = r.run_key) AS current_step_id,
    r.operator AS triggered_by,
    (SELECT max_by(e.body ->> '$.decided_by', e.seq) FROM event_rows e
        WHERE e.run_key = r.run_key AND e.type = 'ApprovalApplied') AS approved_by,
    (SELECT to_json(list({'seq': e.seq, 'step_id': e.step_id, 'type': e.type, 'ts': e.ts, 'body': e.body::JSON}
        ORDER BY e.seq)) FROM event_rows e WHERE e.run_key = r.run_key) AS events
FROM runs r;
