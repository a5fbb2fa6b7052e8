-- Question: What leads each genre's chart?
-- Read off: The best movie of each genre by the weighted rating, which favors movies with many
--   votes. A movie with several genres may lead several charts.
-- Change: 'top_rated' may be another chart of recsys.models, such as most_rated; rank <= 3 shows
--   three.
SELECT c.genre, c.rank, c.movie_id, c.title, round(c.score::numeric, 3) AS score, c.votes
FROM recsys.charts AS c
WHERE c.chart = 'top_rated' AND c.genre IS NOT NULL AND c.rank <= 1
ORDER BY c.genre, c.rank;
