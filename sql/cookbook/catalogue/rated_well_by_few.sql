-- Question: Which movies do few people know and those few love?
-- Read off: Candidates for a shelf of discoveries. score adds ten ratings of the overall mean to
--   each movie, so that a single five-star rating is not enough.
-- Change: The bounds 5 and 30 define few. Reads all ratings.
SELECT
    m.movie_id, m.title, m.year, m.ratings_count, round(m.ratings_mean::numeric, 2) AS mean,
    round(((m.ratings_count * m.ratings_mean + 10 * o.mean) / (m.ratings_count + 10))::numeric, 3) AS score
FROM recsys.movies AS m
CROSS JOIN (SELECT avg(r.rating) AS mean FROM recsys.ratings AS r) AS o
WHERE m.ratings_count BETWEEN 5 AND 30
ORDER BY score DESC, m.movie_id
LIMIT 20;
