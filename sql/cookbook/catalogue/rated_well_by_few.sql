-- Question: Which movies do few people know and those few love?
-- Read off: Candidates for a shelf of discoveries. The chart's score shrinks means of few votes
--   to the overall mean, so that a single five-star rating is not enough.
-- Change: The bounds 5 and 30 define few.
SELECT m.movie_id, m.title, m.year, m.ratings_count, round(m.ratings_mean::numeric, 2) AS mean
FROM recsys.movies AS m
WHERE m.ratings_count BETWEEN 5 AND 30
ORDER BY m.ratings_mean * m.ratings_count / (m.ratings_count + 10) DESC, m.movie_id
LIMIT 20;
