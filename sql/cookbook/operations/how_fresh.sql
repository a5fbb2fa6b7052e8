-- Question: How fresh is what we publish, and did the last refresh work?
-- Read off: One row for each kind of result. stale is true if the run is older than [refresh]
--   max_age_hours or nothing is published; last_error and consecutive_failures tell why
--   there is no newer run.
-- Change: ratings_since reads all ratings: remove it if the query runs every minute.
SELECT
    f.artefact, f.run_id, f.published_at, f.age, f.ratings_since, f.stale, f.consecutive_failures,
    f.last_attempt_at, f.last_error
FROM recsys.freshness AS f
ORDER BY f.artefact;
