-- Question: Which stage of a refresh takes the time and the memory?
-- Read off: share is the stage's part of the run's seconds. Look first at the stages that grow
--   from run to run.
-- Change: The last three refreshes.
SELECT
    s.run_id, s.position, s.stage, round(s.seconds::numeric, 2) AS seconds,
    round((s.seconds / nullif(sum(s.seconds) OVER (PARTITION BY s.run_id), 0))::numeric, 3) AS share,
    s.rows, s.peak_memory_mb
FROM recsys.run_stages AS s
WHERE s.run_id IN (
    SELECT r.run_id FROM recsys.runs AS r
    WHERE r.kind = 'refresh' AND r.state = 'complete'
    ORDER BY r.run_id DESC
    LIMIT 3
)
ORDER BY s.run_id DESC, s.position;
