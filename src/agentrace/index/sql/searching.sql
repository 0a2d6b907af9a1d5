-- Where a text is, in the chosen runs (the temporary table of `choosing.sql`): texts first, and of conversations and
-- ends of runs what no text of the same step tells.

-- name: literal
-- Each text that holds a literal text, in any of its spellings; a spelling that is not needed is NULL. Of those that are
-- given the first that it holds tells the place.
CREATE OR REPLACE TEMP TABLE hits AS
WITH told AS (
    SELECT 't' AS source, text_rows.rowid AS row_id, run_key, step_id, part, CASE WHEN $cased THEN text ELSE lower(text) END AS text
    FROM text_rows JOIN chosen USING (run_key)
    UNION ALL
    SELECT 'm', message_rows.rowid, run_key, step_id, direction, CASE WHEN $cased THEN text ELSE lower(text) END
    FROM message_rows JOIN chosen USING (run_key)
    UNION ALL
    SELECT 'r', run_rows.rowid, run_key, 0, 'error', CASE WHEN $cased THEN error ELSE lower(error) END
    FROM run_rows JOIN chosen USING (run_key)
),
looked_for AS (
    SELECT
        CASE WHEN $cased THEN $form1::VARCHAR ELSE lower($form1::VARCHAR) END AS a,
        CASE WHEN $cased THEN $form2::VARCHAR ELSE lower($form2::VARCHAR) END AS b,
        CASE WHEN $cased THEN $form3::VARCHAR ELSE lower($form3::VARCHAR) END AS c,
        CASE WHEN $cased THEN $form4::VARCHAR ELSE lower($form4::VARCHAR) END AS d,
        CASE WHEN $cased THEN $form5::VARCHAR ELSE lower($form5::VARCHAR) END AS e
)
SELECT
    source, row_id, run_key, step_id, part,
    CASE
        WHEN contains(text, a) THEN instr(text, a)
        WHEN contains(text, b) THEN instr(text, b)
        WHEN contains(text, c) THEN instr(text, c)
        WHEN contains(text, d) THEN instr(text, d)
        ELSE instr(text, e)
    END AS place,
    length(CASE
        WHEN contains(text, a) THEN a
        WHEN contains(text, b) THEN b
        WHEN contains(text, c) THEN c
        WHEN contains(text, d) THEN d
        ELSE e
    END) AS size
FROM told, looked_for
WHERE contains(text, a) OR contains(text, b) OR contains(text, c) OR contains(text, d) OR contains(text, e);

-- name: pattern
-- The same for a regular expression.
CREATE OR REPLACE TEMP TABLE hits AS
WITH told AS (
    SELECT 't' AS source, text_rows.rowid AS row_id, run_key, step_id, part, text FROM text_rows JOIN chosen USING (run_key)
    UNION ALL
    SELECT 'm', message_rows.rowid, run_key, step_id, direction, text FROM message_rows JOIN chosen USING (run_key)
    UNION ALL
    SELECT 'r', run_rows.rowid, run_key, 0, 'error', error FROM run_rows JOIN chosen USING (run_key)
)
SELECT
    source, row_id, run_key, step_id, part,
    instr(text, regexp_extract(text, $pattern)) AS place,
    length(regexp_extract(text, $pattern)) AS size
FROM told
WHERE regexp_matches(text, $pattern);

-- name: is_pattern
-- Fails where it is none.
SELECT regexp_matches('', $pattern);

-- name: newest
-- The newest hits, each with a piece of its text around the place; `matching` is how many there are.
WITH one_for_each AS (
    SELECT *
    FROM hits h
    WHERE source = 't' AND step_id <> 0
        OR source = 't' AND NOT EXISTS (  -- a run fails with what one of its steps failed with
            FROM hits o
            WHERE o.source = 't' AND o.run_key = h.run_key AND o.step_id <> 0 AND o.part = 'error' AND h.part = 'error'
        )
        OR source = 'm' AND NOT EXISTS (
            FROM hits o
            WHERE o.source = 't' AND o.run_key = h.run_key AND o.step_id = h.step_id AND o.part = h.part
        )
        OR source = 'r' AND NOT EXISTS (FROM hits o WHERE o.source = 't' AND o.run_key = h.run_key AND o.part = 'error')
),
placed AS (
    SELECT
        h.*, r.run_id, r.name AS run_name, s.kind, s.name,
        coalesce(s.started_ts, r.started_ts) AS ts,
        count(*) OVER () AS matching
    FROM one_for_each h
    JOIN run_rows r USING (run_key)
    LEFT JOIN step_rows s ON s.run_key = h.run_key AND s.step_id = h.step_id
    WHERE ($kinds::VARCHAR[] IS NULL OR list_contains($kinds, s.kind))
        AND ($models::VARCHAR[] IS NULL OR list_contains($models, s.model))
    ORDER BY ts DESC NULLS LAST, r.run_id DESC, h.step_id DESC, h.part, h.source, h.row_id
    LIMIT $number
)
SELECT
    p.run_id, p.run_name, p.step_id, p.kind, p.name, p.part, m.role, p.ts,
    substring(coalesce(t.text, m.text, r.error), greatest(1, p.place - $before), $before + p.size + $after) AS piece,
    least(p.place - 1, $before) AS match_at,
    p.size,
    p.place > $before + 1 AS is_cut_before,
    length(coalesce(t.text, m.text, r.error)) >= p.place + p.size + $after AS is_cut_after,
    p.matching
FROM placed p
LEFT JOIN text_rows t ON p.source = 't' AND t.rowid = p.row_id
LEFT JOIN message_rows m ON p.source = 'm' AND m.rowid = p.row_id
LEFT JOIN run_rows r ON p.source = 'r' AND r.rowid = p.row_id
ORDER BY p.ts DESC NULLS LAST, p.run_id DESC, p.step_id DESC, p.part, p.source, p.row_id;
