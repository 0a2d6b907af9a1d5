-- The tables of the index. All of it is derived: `agentrace reindex` makes it again from the records.
-- Times are Unix nanoseconds (UTC) in columns that end in _ts, nanoseconds in columns that end in _ns.
-- `run_key` numbers the runs in the order in which they were indexed: rows are sorted by it, which is what makes
-- reading one run out of millions of events quick (an index would be larger than the table, and slower).
-- What a column holds is NULL where the record does not tell.

-- name: schema
-- What made this file; another version of any of it means that the file is made anew.
CREATE TABLE meta (
    key             VARCHAR NOT NULL,
    value           VARCHAR NOT NULL
);

-- How far each run is indexed.
CREATE TABLE progress (
    run_key         UINTEGER NOT NULL,
    run_id          UUID NOT NULL,
    state           VARCHAR NOT NULL,       -- as its store tells it: live, unsealed, sealed
    stamp           VARCHAR NOT NULL,       -- what its segments were when it was indexed: another stamp, another record
    last_seq        UBIGINT NOT NULL,       -- the last event that is in the tables below
    facts           VARCHAR NOT NULL        -- JSON: integrations that told what its calls mean, and their versions
);

-- Of runs that go on: what of their conversations and inputs was told, so that it is not told again.
CREATE TABLE mark_rows (
    run_key         UINTEGER NOT NULL,
    of              VARCHAR NOT NULL,       -- messages, texts
    mark            BLOB NOT NULL           -- 16 bytes
);

-- Of runs that go on: the events that will be asked for again, of the run itself and of steps that are not over.
CREATE TABLE open_rows (
    run_key         UINTEGER NOT NULL,
    seq             UBIGINT NOT NULL,
    step_id         UBIGINT NOT NULL,       -- 0 for the run itself
    encoded         BLOB NOT NULL           -- the event as it was recorded
);

-- Where runs are that are archived.
CREATE TABLE archive_rows (
    run_id          UUID NOT NULL,
    archive         VARCHAR NOT NULL        -- the archive that has the run, a directory; NULL if the store has it
);

-- One row for each run.
CREATE TABLE run_rows (
    run_key         UINTEGER NOT NULL,
    run_id          UUID NOT NULL,
    name            VARCHAR,                -- what it is called, by its user or after its program
    status          VARCHAR NOT NULL,       -- pending, running, completed, failed, aborted, interrupted, unreadable
    health          VARCHAR[],              -- what is the matter with the record: incomplete, damaged, privacy_risk
    started_ts      BIGINT,
    duration_ns     BIGINT,
    exit_code       INTEGER,
    error           VARCHAR,                -- the exception that ended it, or why it cannot be read, in one line
    workflow        VARCHAR,                -- the workflow that it is a run of
    agent           VARCHAR,                -- the agent that ran it
    session_id      VARCHAR,                -- the conversation that spans runs
    tenant          VARCHAR,
    workspace       VARCHAR,
    project         VARCHAR,
    operator        VARCHAR,                -- who or what triggered it
    tags            VARCHAR[],
    mode            VARCHAR NOT NULL,       -- live, replay, fork, import
    source_run_id   UUID,                   -- of a replay or fork: the run whose record was used
    verdict         VARCHAR,                -- of a replay: exact, exact_with_caveats, diverged
    parent_run_id   UUID,                   -- the run that started its process, or sent its job
    parent_step_id  UINTEGER,               -- the step of that run that did
    is_job          BOOLEAN NOT NULL,       -- whether it is a job that was sent, and not a process
    sample_rate     DOUBLE NOT NULL,        -- the share of root runs like it that were written, 0 to 1
    replayable      BOOLEAN NOT NULL,
    because         VARCHAR[],              -- why it is not replayable
    caveats         VARCHAR[],              -- what a replay that succeeds will still have to say
    inferred        UINTEGER NOT NULL,      -- tool calls that were read in messages only
    argv            VARCHAR[],
    cwd             VARCHAR,
    pid             UINTEGER,
    python          VARCHAR,
    platform        VARCHAR,
    timezone        VARCHAR,
    sdk             VARCHAR,                -- version of agentrace that wrote it
    format          VARCHAR,                -- version of its trace format
    redaction       VARCHAR,
    durability      VARCHAR,
    git_commit      VARCHAR,
    git_dirty       BOOLEAN,
    libraries       VARCHAR,                -- JSON: versions of the libraries that were loaded
    events          UINTEGER NOT NULL,      -- events that are indexed
    steps           UINTEGER NOT NULL,      -- the following are sums over its steps
    failed_steps    UINTEGER NOT NULL,
    retries         UINTEGER NOT NULL,
    input_tokens    BIGINT NOT NULL,
    output_tokens   BIGINT NOT NULL,
    models          VARCHAR[],              -- models that served its calls
    kinds           VARCHAR[]               -- kinds of its steps
);

-- One row for each step.
CREATE TABLE step_rows (
    run_key         UINTEGER NOT NULL,
    step_id         UINTEGER NOT NULL,      -- its ordinal in the run, in dispatch order
    parent          UINTEGER,               -- the enclosing step
    kind            VARCHAR,                -- model, embedding, tool, retriever, planner, validator, safety, agent, task
    name            VARCHAR NOT NULL,
    operation       VARCHAR,                -- what was asked, e.g. chat/completions:stream
    path            VARCHAR NOT NULL,       -- its place in the program, whatever the timing
    status          VARCHAR NOT NULL,       -- running, ok, failed, cancelled
    outcome         VARCHAR,                -- ok, error, cancelled; of streams exhausted, closed_by_consumer
    started_ts      BIGINT NOT NULL,
    duration_ns     BIGINT,
    first_chunk_ns  BIGINT,                 -- until the first piece of a streamed answer
    chunks          UINTEGER,
    exchanges       UINTEGER,               -- requests that went over a wire
    retries         UINTEGER,               -- of these, those sent again because the one before had failed
    model           VARCHAR,                -- the model that served it; if none did, the one that was asked for
    finish_reason   VARCHAR,
    input_fresh     BIGINT,                 -- tokens, in disjoint buckets
    cache_read      BIGINT,
    cache_write     BIGINT,
    output_visible  BIGINT,
    reasoning       BIGINT,
    cost_nano_usd   BIGINT,                 -- as noted in the record, 1e-9 US dollars
    error           VARCHAR,                -- the exception in one line
    input           VARCHAR,                -- the first 200 characters of the arguments as JSON; all of it: `texts`
    output          VARCHAR,                -- the same of what came out
    integration     VARCHAR,                -- what captured it; NULL for decorators
    call_site       VARCHAR,                -- file:line function
    scope_quality   VARCHAR,                -- exact, shared
    thread          UINTEGER,
    task            UINTEGER,
    notes           UINTEGER,               -- what was logged and scored in it
    first_seq       UINTEGER,               -- its first and its last event
    last_seq        UINTEGER
);

-- One row for each event.
CREATE TABLE event_rows (
    run_key         UINTEGER NOT NULL,
    seq             UINTEGER NOT NULL,      -- position in the run, from 1
    step_id         UINTEGER NOT NULL,      -- 0 for the run itself
    type            VARCHAR NOT NULL,       -- as in the trace specification, e.g. StepDispatched
    ts              BIGINT NOT NULL,
    body            VARCHAR USING COMPRESSION zstd  -- JSON: the fields that are not at their defaults, values in short
);

-- The texts that can be searched: what went into steps and came out. What a step's input repeats of an earlier one in
-- its run stands with the earlier one only.
CREATE TABLE text_rows (
    run_key         UINTEGER NOT NULL,
    step_id         UINTEGER NOT NULL,      -- 0 for the run itself
    part            VARCHAR NOT NULL,       -- input, output, error, note
    text            VARCHAR NOT NULL USING COMPRESSION zstd
);

-- The conversations: each message once in its run, with the step whose request, or answer, was the first to hold it.
CREATE TABLE message_rows (
    run_key         UINTEGER NOT NULL,
    step_id         UINTEGER NOT NULL,
    position        UINTEGER NOT NULL,      -- among the messages of its step's request, from 0; then comes the answer
    direction       VARCHAR NOT NULL,       -- input (sent to the model), output (its answer)
    role            VARCHAR NOT NULL,       -- system, developer, user, assistant, tool
    text            VARCHAR USING COMPRESSION zstd,
    reasoning       VARCHAR USING COMPRESSION zstd,
    refusal         VARCHAR,                -- why the model does not answer
    name            VARCHAR,                -- who says it, where there are several of a role
    tool_call_id    VARCHAR,                -- of a tool's result: the call that it answers
    failed          BOOLEAN NOT NULL,       -- whether it tells that a tool failed
    tool_calls      VARCHAR,                -- JSON: [{id, name, arguments}]
    served          VARCHAR,                -- JSON: calls of tools that the provider ran: [{id, name, arguments, result}]
    citations       VARCHAR[],              -- what the text refers to
    media           VARCHAR                 -- JSON: what else was in it: [{kind, mime, size, source}]
);

-- Sums over the steps of a run by day, kind and model: what reports over many runs add up.
CREATE TABLE sum_rows (
    run_key         UINTEGER NOT NULL,
    day             DATE NOT NULL,          -- UTC
    kind            VARCHAR NOT NULL,
    model           VARCHAR,
    integration     VARCHAR,
    steps           UBIGINT NOT NULL,
    failed          UBIGINT NOT NULL,
    retries         UBIGINT NOT NULL,
    duration_ns     HUGEINT NOT NULL,
    input_fresh     HUGEINT NOT NULL,
    cache_read      HUGEINT NOT NULL,
    cache_write     HUGEINT NOT NULL,
    output_visible  HUGEINT NOT NULL,
    reasoning       HUGEINT NOT NULL,
    cost_nano_usd   HUGEINT NOT NULL
);
