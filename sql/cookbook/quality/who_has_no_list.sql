-- Question: Who has no personal list, and why?
-- Read off: One row a status and sentence of user_status, with how many people it is true of.
--   live people have rated since the run and lose nothing; cold_start people are served
--   by content and the chart.
-- Change: Of the first 1,000 people by id; user_status looks at each by itself. Leave the LIMIT
--   out for all.
WITH people AS (
    SELECT DISTINCT r.user_id FROM recsys.ratings AS r ORDER BY r.user_id LIMIT 1000
)
SELECT
    s.status,
    regexp_replace(s.explanation, '[0-9]+', 'N') AS why,
    count(*) AS people,
    min(p.user_id) AS for_example
FROM people AS p
CROSS JOIN LATERAL recsys.user_status(p.user_id) AS s
GROUP BY s.status, why
ORDER BY people DESC, s.status;
