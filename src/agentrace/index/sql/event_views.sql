-- Made by `make docs` from src/agentrace/events.py: change it there.
-- One view for each type of event, with a column for each of its fields; what an event does not tell has its default.
-- Values of the program are JSON; those of more than 200 characters stand in short: {"$short": ..., "characters": ...}.

-- name: workflow_started
-- A run was opened.
CREATE VIEW workflow_started AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.format')::VARCHAR, '1.1') AS "format",
    coalesce((body::JSON ->> '$.name')::VARCHAR, '') AS "name",
    coalesce((body::JSON ->> '$.workflow')::VARCHAR, '') AS "workflow",
    coalesce((body::JSON ->> '$.agent')::VARCHAR, '') AS "agent",
    coalesce((body::JSON ->> '$.session_id')::VARCHAR, '') AS "session_id",
    coalesce((body::JSON ->> '$.tenant')::VARCHAR, '') AS "tenant",
    coalesce((body::JSON ->> '$.workspace')::VARCHAR, '') AS "workspace",
    coalesce((body::JSON ->> '$.project')::VARCHAR, '') AS "project",
    coalesce((body::JSON ->> '$.operator')::VARCHAR, '') AS "operator",
    coalesce((body::JSON -> '$.argv')::VARCHAR[], []) AS "argv",
    coalesce((body::JSON ->> '$.cwd')::VARCHAR, '') AS "cwd",
    coalesce((body::JSON ->> '$.pid')::BIGINT, 0) AS "pid",
    coalesce((body::JSON ->> '$.python')::VARCHAR, '') AS "python",
    coalesce((body::JSON ->> '$.platform')::VARCHAR, '') AS "platform",
    coalesce((body::JSON ->> '$.hash_seed')::VARCHAR, '') AS "hash_seed",
    coalesce((body::JSON ->> '$.timezone')::VARCHAR, '') AS "timezone",
    coalesce((body::JSON ->> '$.sdk')::VARCHAR, '') AS "sdk",
    coalesce((body::JSON ->> '$.redaction')::VARCHAR, '') AS "redaction",
    coalesce((body::JSON ->> '$.durability')::VARCHAR, '') AS "durability",
    body::JSON -> '$.origin' AS "origin",
    body::JSON -> '$.parent' AS "parent",
    coalesce((body::JSON -> '$.tags')::VARCHAR[], []) AS "tags",
    coalesce((body::JSON -> '$.patched')::VARCHAR[], []) AS "patched",
    coalesce((body::JSON -> '$.excluded')::VARCHAR[], []) AS "excluded",
    coalesce((body::JSON -> '$.tools')::VARCHAR[], []) AS "tools",
    coalesce((body::JSON -> '$.retrievers')::VARCHAR[], []) AS "retrievers",
    coalesce((body::JSON ->> '$.sample_rate')::DOUBLE, 1.0) AS "sample_rate"
FROM events WHERE type = 'WorkflowStarted';

-- name: workflow_described
-- What takes time to know about the run's surroundings;
CREATE VIEW workflow_described AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.git_commit')::VARCHAR, '') AS "git_commit",
    (body::JSON ->> '$.git_dirty')::BOOLEAN AS "git_dirty",
    body::JSON -> '$.modules' AS "modules",
    body::JSON -> '$.libraries' AS "libraries",
    coalesce((body::JSON ->> '$.stdin_digest')::VARCHAR, '') AS "stdin_digest",
    coalesce((body::JSON -> '$.tools')::VARCHAR[], []) AS "tools",
    coalesce((body::JSON -> '$.unsupported')::VARCHAR[], []) AS "unsupported",
    body::JSON -> '$.left_out' AS "left_out",
    body::JSON -> '$.missing_tools' AS "missing_tools"
FROM events WHERE type = 'WorkflowDescribed';

-- name: step_dispatched
-- A step is about to run;
CREATE VIEW step_dispatched AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.kind')::VARCHAR AS "kind",
    (body::JSON ->> '$.name')::VARCHAR AS "name",
    coalesce((body::JSON ->> '$.operation')::VARCHAR, '') AS "operation",
    coalesce((body::JSON ->> '$.parent')::BIGINT, 0) AS "parent",
    coalesce((body::JSON ->> '$.flow')::VARCHAR, '') AS "flow",
    coalesce((body::JSON ->> '$.ordinal')::BIGINT, 0) AS "ordinal",
    coalesce((body::JSON ->> '$.shared')::BOOLEAN, FALSE) AS "shared",
    coalesce((body::JSON ->> '$.thread')::BIGINT, 0) AS "thread",
    coalesce((body::JSON ->> '$.task')::BIGINT, 0) AS "task",
    coalesce((body::JSON ->> '$.loop')::BIGINT, 0) AS "loop",
    body::JSON -> '$.input' AS "input",
    coalesce((body::JSON ->> '$.fidelity')::VARCHAR, 'exact') AS "fidelity",
    coalesce((body::JSON ->> '$.integration')::VARCHAR, '') AS "integration",
    coalesce((body::JSON ->> '$.call_site')::VARCHAR, '') AS "call_site",
    coalesce((body::JSON ->> '$.effects')::VARCHAR, '') AS "effects",
    coalesce((body::JSON ->> '$.replay')::VARCHAR, '') AS "replay",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON -> '$.ignored')::VARCHAR[], []) AS "ignored"
FROM events WHERE type = 'StepDispatched';

-- name: step_completed
-- A step ended without an exception.
CREATE VIEW step_completed AS
SELECT
    run_id, seq, step_id, time,
    body::JSON -> '$.output' AS "output",
    coalesce((body::JSON ->> '$.fidelity')::VARCHAR, 'exact') AS "fidelity",
    coalesce((body::JSON ->> '$.codec')::VARCHAR, 'canonical/1') AS "codec",
    coalesce((body::JSON ->> '$.outcome')::VARCHAR, 'ok') AS "outcome",
    coalesce((body::JSON ->> '$.chunks')::BIGINT, 0) AS "chunks",
    coalesce((body::JSON ->> '$.duration_ns')::BIGINT, 0) AS "duration_ns",
    coalesce((body::JSON ->> '$.first_chunk_ns')::BIGINT, 0) AS "first_chunk_ns",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON ->> '$.exchanges')::BIGINT, 0) AS "exchanges",
    coalesce((body::JSON ->> '$.shape')::VARCHAR, '') AS "shape",
    coalesce((body::JSON ->> '$.behind')::BIGINT, 0) AS "behind",
    coalesce((body::JSON ->> '$.random')::BIGINT, 0) AS "random"
FROM events WHERE type = 'StepCompleted';

-- name: step_failed
-- A step ended with an exception, or was cancelled.
CREATE VIEW step_failed AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.outcome')::VARCHAR AS "outcome",
    body::JSON -> '$.failure' AS "failure",
    coalesce((body::JSON ->> '$.source')::VARCHAR, '') AS "source",
    coalesce((body::JSON ->> '$.chunks')::BIGINT, 0) AS "chunks",
    coalesce((body::JSON ->> '$.duration_ns')::BIGINT, 0) AS "duration_ns",
    coalesce((body::JSON ->> '$.first_chunk_ns')::BIGINT, 0) AS "first_chunk_ns",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON ->> '$.exchanges')::BIGINT, 0) AS "exchanges",
    coalesce((body::JSON ->> '$.shape')::VARCHAR, '') AS "shape",
    coalesce((body::JSON ->> '$.behind')::BIGINT, 0) AS "behind",
    coalesce((body::JSON ->> '$.random')::BIGINT, 0) AS "random"
FROM events WHERE type = 'StepFailed';

-- name: stream_chunks
-- Elements of a stream, written as they arrive:
CREATE VIEW stream_chunks AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.exchange')::BIGINT AS "exchange",
    (body::JSON ->> '$.first')::BIGINT AS "first",
    body::JSON -> '$.chunks' AS "chunks",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON ->> '$.behind')::BIGINT, 0) AS "behind"
FROM events WHERE type = 'StreamChunks';

-- name: tokens_updated
-- Usage of a model step in disjoint buckets.
CREATE VIEW tokens_updated AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.input_fresh')::BIGINT, 0) AS "input_fresh",
    coalesce((body::JSON ->> '$.cache_read')::BIGINT, 0) AS "cache_read",
    coalesce((body::JSON ->> '$.cache_write')::BIGINT, 0) AS "cache_write",
    coalesce((body::JSON ->> '$.output_visible')::BIGINT, 0) AS "output_visible",
    coalesce((body::JSON ->> '$.reasoning')::BIGINT, 0) AS "reasoning",
    body::JSON -> '$.modalities' AS "modalities",
    coalesce((body::JSON ->> '$.model')::VARCHAR, '') AS "model",
    coalesce((body::JSON ->> '$.source')::VARCHAR, '') AS "source"
FROM events WHERE type = 'TokensUpdated';

-- name: cost_recalculated
-- The price of a step.
CREATE VIEW cost_recalculated AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.amount_nano_usd')::BIGINT, 0) AS "amount_nano_usd",
    body::JSON -> '$.price' AS "price",
    coalesce((body::JSON ->> '$.unpriced')::VARCHAR, '') AS "unpriced",
    coalesce((body::JSON ->> '$.reverses')::BIGINT, 0) AS "reverses"
FROM events WHERE type = 'CostRecalculated';

-- name: approval_requested
-- A step waits for a decision.
CREATE VIEW approval_requested AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.approval_id')::VARCHAR AS "approval_id",
    coalesce((body::JSON ->> '$.requested_by')::VARCHAR, '') AS "requested_by",
    coalesce((body::JSON ->> '$.action')::VARCHAR, '') AS "action",
    body::JSON -> '$.details' AS "details",
    coalesce((body::JSON ->> '$.policy')::VARCHAR, '') AS "policy",
    coalesce((body::JSON ->> '$.expires_ts')::BIGINT, 0) AS "expires_ts"
FROM events WHERE type = 'ApprovalRequested';

-- name: approval_applied
-- A decision was made.
CREATE VIEW approval_applied AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.approval_id')::VARCHAR AS "approval_id",
    (body::JSON ->> '$.decision')::VARCHAR AS "decision",
    coalesce((body::JSON ->> '$.decided_by')::VARCHAR, '') AS "decided_by",
    coalesce((body::JSON ->> '$.reason')::VARCHAR, '') AS "reason"
FROM events WHERE type = 'ApprovalApplied';

-- name: budget_exceeded
-- A budget reached a threshold or blocked a call.
CREATE VIEW budget_exceeded AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.budget')::VARCHAR AS "budget",
    (body::JSON ->> '$.scope')::VARCHAR AS "scope",
    coalesce((body::JSON ->> '$.window')::VARCHAR, '') AS "window",
    coalesce((body::JSON ->> '$.unit')::VARCHAR, 'nano_usd') AS "unit",
    coalesce((body::JSON ->> '$.limit')::BIGINT, 0) AS "limit",
    coalesce((body::JSON ->> '$.spent')::BIGINT, 0) AS "spent",
    coalesce((body::JSON ->> '$.reserved')::BIGINT, 0) AS "reserved",
    coalesce((body::JSON ->> '$.action')::VARCHAR, 'threshold') AS "action"
FROM events WHERE type = 'BudgetExceeded';

-- name: policy_decided
-- A policy looked at a call.
CREATE VIEW policy_decided AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.decision')::VARCHAR AS "decision",
    (body::JSON ->> '$.rule')::VARCHAR AS "rule",
    coalesce((body::JSON ->> '$.version')::VARCHAR, '') AS "version",
    coalesce((body::JSON ->> '$.reason')::VARCHAR, '') AS "reason"
FROM events WHERE type = 'PolicyDecided';

-- name: execution_aborted
-- The run was stopped from outside its own logic.
CREATE VIEW execution_aborted AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.by')::VARCHAR AS "by",
    (body::JSON ->> '$.code')::VARCHAR AS "code",
    coalesce((body::JSON ->> '$.reason')::VARCHAR, '') AS "reason"
FROM events WHERE type = 'ExecutionAborted';

-- name: value_recorded
-- A value that the next run would not see again.
CREATE VIEW value_recorded AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.source')::VARCHAR AS "source",
    body::JSON -> '$.value' AS "value",
    coalesce((body::JSON ->> '$.parent')::BIGINT, 0) AS "parent",
    coalesce((body::JSON ->> '$.flow')::VARCHAR, '') AS "flow",
    coalesce((body::JSON ->> '$.ordinal')::BIGINT, 0) AS "ordinal",
    coalesce((body::JSON ->> '$.label')::VARCHAR, '') AS "label",
    coalesce((body::JSON ->> '$.loop')::BIGINT, 0) AS "loop",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick"
FROM events WHERE type = 'ValueRecorded';

-- name: artifact_stored
-- A payload was stored once under its content hash.
CREATE VIEW artifact_stored AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.digest')::VARCHAR AS "digest",
    (body::JSON ->> '$.size')::BIGINT AS "size",
    coalesce((body::JSON ->> '$.mime')::VARCHAR, '') AS "mime",
    coalesce((body::JSON ->> '$.name')::VARCHAR, '') AS "name",
    body::JSON -> '$.redactions' AS "redactions"
FROM events WHERE type = 'ArtifactStored';

-- name: artifact_failed
-- A payload that could not be kept.
CREATE VIEW artifact_failed AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.reason')::VARCHAR AS "reason",
    coalesce((body::JSON ->> '$.size')::BIGINT, 0) AS "size",
    coalesce((body::JSON ->> '$.mime')::VARCHAR, '') AS "mime",
    coalesce((body::JSON ->> '$.name')::VARCHAR, '') AS "name"
FROM events WHERE type = 'ArtifactFailed';

-- name: logged
-- A note attached to a step.
CREATE VIEW logged AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.message')::VARCHAR AS "message",
    coalesce((body::JSON ->> '$.level')::VARCHAR, 'info') AS "level",
    body::JSON -> '$.fields' AS "fields",
    coalesce((body::JSON ->> '$.logger')::VARCHAR, '') AS "logger"
FROM events WHERE type = 'Logged';

-- name: scored
-- A score attached to a step or run.
CREATE VIEW scored AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.name')::VARCHAR AS "name",
    (body::JSON ->> '$.value')::DOUBLE AS "value",
    coalesce((body::JSON ->> '$.comment')::VARCHAR, '') AS "comment",
    coalesce((body::JSON ->> '$.source')::VARCHAR, '') AS "source"
FROM events WHERE type = 'Scored';

-- name: replay_diverged
-- On a replay:
CREATE VIEW replay_diverged AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.code')::VARCHAR AS "code",
    coalesce((body::JSON ->> '$.expected_step')::BIGINT, 0) AS "expected_step",
    body::JSON -> '$.expected' AS "expected",
    body::JSON -> '$.observed' AS "observed",
    coalesce((body::JSON ->> '$.report')::VARCHAR, '') AS "report"
FROM events WHERE type = 'ReplayDiverged';

-- name: events_lost
-- A hole:
CREATE VIEW events_lost AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.to')::BIGINT AS "to",
    (body::JSON ->> '$.reason')::VARCHAR AS "reason"
FROM events WHERE type = 'EventsLost';

-- name: workflow_completed
-- The program ended by itself.
CREATE VIEW workflow_completed AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.exit_code')::BIGINT, 0) AS "exit_code",
    coalesce((body::JSON ->> '$.duration_ns')::BIGINT, 0) AS "duration_ns",
    coalesce((body::JSON ->> '$.steps')::BIGINT, 0) AS "steps",
    coalesce((body::JSON ->> '$.lost')::BIGINT, 0) AS "lost",
    coalesce((body::JSON ->> '$.faults')::BIGINT, 0) AS "faults",
    coalesce((body::JSON -> '$.health')::VARCHAR[], []) AS "health",
    coalesce((body::JSON ->> '$.replay')::VARCHAR, '') AS "replay",
    coalesce((body::JSON -> '$.caveats')::VARCHAR[], []) AS "caveats"
FROM events WHERE type = 'WorkflowCompleted';

-- name: workflow_failed
-- The program ended with an exception, a signal or a non-zero exit code.
CREATE VIEW workflow_failed AS
SELECT
    run_id, seq, step_id, time,
    coalesce((body::JSON ->> '$.exit_code')::BIGINT, 1) AS "exit_code",
    body::JSON -> '$.failure' AS "failure",
    coalesce((body::JSON ->> '$.duration_ns')::BIGINT, 0) AS "duration_ns",
    coalesce((body::JSON ->> '$.steps')::BIGINT, 0) AS "steps",
    coalesce((body::JSON ->> '$.lost')::BIGINT, 0) AS "lost",
    coalesce((body::JSON ->> '$.faults')::BIGINT, 0) AS "faults",
    coalesce((body::JSON -> '$.health')::VARCHAR[], []) AS "health",
    coalesce((body::JSON ->> '$.replay')::VARCHAR, '') AS "replay",
    coalesce((body::JSON -> '$.caveats')::VARCHAR[], []) AS "caveats"
FROM events WHERE type = 'WorkflowFailed';

-- name: exchange_started
-- A request is about to go over a wire, under its step.
CREATE VIEW exchange_started AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.exchange')::BIGINT AS "exchange",
    (body::JSON ->> '$.wire')::VARCHAR AS "wire",
    (body::JSON ->> '$.method')::VARCHAR AS "method",
    (body::JSON ->> '$.url')::VARCHAR AS "url",
    body::JSON -> '$.headers' AS "headers",
    body::JSON -> '$.body' AS "body"
FROM events WHERE type = 'ExchangeStarted';

-- name: exchange_answered
-- The head of a response came.
CREATE VIEW exchange_answered AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.exchange')::BIGINT AS "exchange",
    (body::JSON ->> '$.status')::BIGINT AS "status",
    body::JSON -> '$.headers' AS "headers",
    coalesce((body::JSON ->> '$.http_version')::VARCHAR, '') AS "http_version",
    coalesce((body::JSON ->> '$.reason')::VARCHAR, '') AS "reason",
    coalesce((body::JSON ->> '$.at_ns')::BIGINT, 0) AS "at_ns",
    coalesce((body::JSON ->> '$.encoding')::VARCHAR, '') AS "encoding",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON ->> '$.behind')::BIGINT, 0) AS "behind"
FROM events WHERE type = 'ExchangeAnswered';

-- name: exchange_ended
-- Nothing more comes from this exchange.
CREATE VIEW exchange_ended AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.exchange')::BIGINT AS "exchange",
    (body::JSON ->> '$.outcome')::VARCHAR AS "outcome",
    body::JSON -> '$.failure' AS "failure",
    coalesce((body::JSON ->> '$.at_ns')::BIGINT, 0) AS "at_ns",
    coalesce((body::JSON ->> '$.size')::BIGINT, 0) AS "size",
    coalesce((body::JSON ->> '$.tick')::BIGINT, 0) AS "tick",
    coalesce((body::JSON ->> '$.behind')::BIGINT, 0) AS "behind"
FROM events WHERE type = 'ExchangeEnded';

-- name: callbacks_run
-- What an event loop called that came from outside its own callbacks:
CREATE VIEW callbacks_run AS
SELECT
    run_id, seq, step_id, time,
    (body::JSON ->> '$.loop')::BIGINT AS "loop",
    body::JSON -> '$.callbacks' AS "callbacks",
    coalesce((body::JSON ->> '$.over')::BOOLEAN, FALSE) AS "over"
FROM events WHERE type = 'CallbacksRun';
