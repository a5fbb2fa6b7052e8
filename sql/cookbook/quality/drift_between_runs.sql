-- Question: What changed between the last two runs?
-- Read off: overlap@10 is the mean share of the first ten that stayed, rbo@10 the same with more
--   weight on the first places, users_changed how many people see other movies. A
--   night's ratings move them little: a fall is a change of parameters or of data.
-- Change: The two runs compared; no rows unless two have results.
WITH kept AS (
    SELECT r.run_id, row_number() OVER (ORDER BY r.run_id DESC) AS newest
    FROM recsys.runs AS r
    WHERE r.kind = 'refresh' AND r.state = 'complete' AND r.pruned_at IS NULL
)
SELECT a.run_id AS run_a, b.run_id AS run_b, c.*
FROM kept AS b
JOIN kept AS a ON a.newest = 2 AND b.newest = 1
CROSS JOIN LATERAL recsys.compare_runs(a.run_id, b.run_id, 10) AS c
WHERE c.part = 'lists'
ORDER BY c.model, c.metric;
