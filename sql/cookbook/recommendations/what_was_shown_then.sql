-- Question: What did we show a person a day ago?
-- Read off: The list of the run that was published at that moment. If its results have been
--   pruned since, or nothing was published yet, the moment is the next one with a list.
-- Change: The person 1; the day. A moment whose run was pruned is error RS004.
WITH log AS (
    SELECT
        p.publication_id, p.run_id, p.published_at,
        lead(p.published_at) OVER (ORDER BY p.publication_id) AS until
    FROM recsys.publications AS p
),
moment AS (
    SELECT greatest(g.published_at, now() - interval '1 day') AS at
    FROM log AS g
    JOIN recsys.runs AS u ON u.run_id = g.run_id AND u.pruned_at IS NULL
    WHERE g.until IS NULL OR g.until > now() - interval '1 day'
    ORDER BY g.publication_id
    LIMIT 1
)
SELECT
    date_trunc('second', m.at) AS at, r.rank, r.movie_id, r.title,
    round(r.score::numeric, 4) AS score, r.model, r.run_id
FROM moment AS m
CROSS JOIN LATERAL recsys.recommendations_as_of(1, m.at, 10) AS r
ORDER BY r.rank;
