-- Question: What would we show a person with these ratings?
-- Read off: The ratings need no user, and nothing is saved. Change a rating and see the list
--   change.
-- Change: The ratings, by movie id: recsys.search_movies finds ids.
SELECT r.rank, r.movie_id, r.title, round(r.score::numeric, 4) AS score, r.source, r.model
FROM recsys.recommend_for(
    (
        SELECT jsonb_object_agg(c.movie_id, (SELECT s.rating_max FROM recsys.rating_scale() AS s))
        FROM recsys.top_movies(3, NULL, 'most_rated') AS c
    ),
    10
) AS r
ORDER BY r.rank;
