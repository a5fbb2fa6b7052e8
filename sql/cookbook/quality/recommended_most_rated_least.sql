-- Question: Which movies do we recommend most although they have few ratings?
-- Read off: lists is the number of people with the movie among their first ten. Movies on many
--   lists with few ratings are either discoveries or a model's mistake: look at a few
--   with recsys.explain.
-- Change: model and the first 10 places.
SELECT
    l.movie_id, m.title, m.year, l.lists, m.ratings_count,
    round(m.ratings_mean::numeric, 2) AS ratings_mean
FROM (
    SELECT r.movie_id, count(*) AS lists
    FROM recsys.recommendations AS r
    WHERE r.model = (SELECT u.default_model FROM recsys.runs AS u WHERE u.published) AND r.rank <= 10
    GROUP BY r.movie_id
) AS l
JOIN recsys.movies AS m ON m.movie_id = l.movie_id
ORDER BY l.lists::numeric / (m.ratings_count + 1) DESC, l.lists DESC, l.movie_id
LIMIT 20;
