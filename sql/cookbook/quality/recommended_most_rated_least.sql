-- Question: Which movies do we recommend most although they have few ratings?
-- Read off: Only movies outside the head, which is the most rated movies that together have half
--   of all ratings. lists is the number of people with the movie among their first ten. A
--   movie on many lists is a discovery or a model's mistake: look at some with recsys.explain.
--   If even the first is on a few lists only, the model keeps to what everybody knows.
-- Change: The model, the first 10 places, the half.
WITH counted AS (
    SELECT m.movie_id, m.ratings_count FROM recsys.movies AS m
),
tail AS (
    SELECT p.movie_id
    FROM (
        SELECT
            c.movie_id,
            sum(c.ratings_count) OVER (ORDER BY c.ratings_count DESC, c.movie_id) AS so_far,
            sum(c.ratings_count) OVER () AS ratings
        FROM counted AS c
    ) AS p
    WHERE p.so_far > 0.5 * p.ratings
),
listed AS (
    SELECT r.movie_id, count(*) AS lists
    FROM recsys.recommendations AS r
    WHERE r.model = (SELECT u.default_model FROM recsys.runs AS u WHERE u.published) AND r.rank <= 10
    GROUP BY r.movie_id
)
SELECT
    l.movie_id, m.title, m.year, l.lists, m.ratings_count,
    round(m.ratings_mean::numeric, 2) AS ratings_mean
FROM listed AS l
JOIN tail AS t ON t.movie_id = l.movie_id
JOIN recsys.movies AS m ON m.movie_id = l.movie_id
ORDER BY l.lists DESC, m.ratings_count, l.movie_id
LIMIT 20;
