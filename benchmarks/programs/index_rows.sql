-- Rows of a large index, made by the engine itself: $runs runs of $steps steps, each with two events.
INSERT INTO run_rows BY NAME
SELECT
    k::UINTEGER AS run_key, uuid() AS run_id, 'agent-' || (k % 7) AS name, 'completed' AS status,
    1790000000000000000 + k * 60000000000 AS started_ts, 1000000 AS duration_ns, 'live' AS mode, false AS is_job,
    1.0 AS sample_rate, true AS replayable, 0 AS inferred, 2 * $steps AS events, $steps AS steps, 0 AS failed_steps,
    0 AS retries, 0 AS input_tokens, 0 AS output_tokens
FROM range(1, $runs + 1) t(k);

INSERT INTO step_rows BY NAME
SELECT
    (i // $steps + 1)::UINTEGER AS run_key, (i % $steps + 1)::UINTEGER AS step_id, 1 AS parent,
    CASE i % 3 WHEN 0 THEN 'model' ELSE 'tool' END AS kind, 'search_' || (i % 20) AS name,
    '/plan#0/search#' || (i % $steps) AS path, CASE WHEN i % 50 = 0 THEN 'failed' ELSE 'ok' END AS status,
    1790000000000000000 + (i // $steps) * 7200000000000 + i % $steps * 1000000 AS started_ts,
    (i * 7919) % 5000000000 AS duration_ns,
    CASE i % 3 WHEN 0 THEN ['model-a', 'model-b', 'model-c'][i % 9 // 3 + 1] END AS model,
    CASE i % 3 WHEN 0 THEN i % 4000 END AS input_fresh, CASE i % 3 WHEN 0 THEN 0 END AS cache_read,
    CASE i % 3 WHEN 0 THEN 0 END AS cache_write, CASE i % 3 WHEN 0 THEN i % 700 END AS output_visible,
    CASE i % 3 WHEN 0 THEN 0 END AS reasoning, '{"q":"shoes ' || i || '"}' AS input, 'result ' || i AS output,
    'exact' AS scope_quality, (2 * (i % $steps) + 1)::UINTEGER AS first_seq,
    (2 * (i % $steps) + 2)::UINTEGER AS last_seq
FROM range($total) t(i);

INSERT INTO event_rows
SELECT
    (i // (2 * $steps) + 1)::UINTEGER, (i % (2 * $steps) + 1)::UINTEGER, (i % (2 * $steps) // 2 + 1)::UINTEGER,
    CASE WHEN i % 2 = 0 THEN 'StepDispatched' ELSE 'StepCompleted' END, 1790000000000000000 + i * 1000000,
    '{"kind":"tool","name":"search_' || (i % 20) || '","input":{"q":"shoes ' || i || '"},"ordinal":' || i || '}'
FROM range(2 * $total) t(i);

INSERT INTO sum_rows
SELECT
    run_key, CAST(make_timestamp_ns(started_ts) AS DATE), kind, model, NULL, count(*),
    count(*) FILTER (status = 'failed'), 0, sum(duration_ns), coalesce(sum(input_fresh), 0), 0, 0,
    coalesce(sum(output_visible), 0), 0, 0
FROM step_rows GROUP BY ALL;
