-- Question: Do people rate old movies better than new ones?
-- Read off: People seek old movies out before they rate them. Few ratings and a high mean show
--   this selection, not quality alone.
-- Change: Reads all ratings.
SELECT
    m.year / 10 * 10 AS decade,
    count(DISTINCT m.movie_id) AS movies,
    sum(m.ratings_count) AS ratings,
    round((sum(m.ratings_count * m.ratings_mean) / nullif(sum(m.ratings_count), 0))::numeric, 3) AS mean
FROM recsys.movies AS m
GROUP BY decade
ORDER BY decade;
