-- Question: Who has no personal list, and why?
-- Read off: One row for each status and explanation of user_status, with the number of people.
--   live: people with new ratings, whose lists are recomputed; cold_start: people whose
--   lists come from content and the chart.
-- Change: The first 1,000 people by id, because user_status is called for each. Remove the
--   LIMIT for all.
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
