-- Question: What did we show a person a day ago?
-- Read off: The list of the run that was published then, as long as its results are kept. No
--   rows: nothing was published yet.
-- Change: The person 1; the moment.
SELECT r.rank, r.movie_id, r.title, round(r.score::numeric, 4) AS score, r.model, r.run_id
FROM recsys.recommendations_as_of(
    1,
    -- A moment after the first publication there was.
    coalesce(
        (SELECT min(p.published_at) + interval '1 second' FROM recsys.publications AS p), now()
    ),
    10
) AS r
ORDER BY r.rank;
