-- Question: What was published when, by whom, and what was taken back?
-- Read off: Entries are only added to the log. until is when the next entry replaced this one;
--   the entry without it is the current one.
SELECT
    p.publication_id, p.run_id, p.action, p.published_at,
    lead(p.published_at) OVER (ORDER BY p.publication_id) AS until, p.published_by, p.reason
FROM recsys.publications AS p
ORDER BY p.publication_id DESC;
