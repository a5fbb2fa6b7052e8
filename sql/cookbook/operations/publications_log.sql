-- Question: What was published when, by whom, and what was taken back?
-- Read off: The log is only ever added to. until is when something else took its place; an entry
--   without it holds now.
SELECT
    p.publication_id, p.run_id, p.action, p.published_at,
    lead(p.published_at) OVER (ORDER BY p.publication_id) AS until, p.published_by, p.reason
FROM recsys.publications AS p
ORDER BY p.publication_id DESC;
