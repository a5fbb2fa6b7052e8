-- Question: Do the models agree on what a movie is like?
-- Read off: One row a neighbour, with its rank in each model that has it: agreement of models of
--   ratings and of content is a safe similarity; one of content alone holds for new
--   movies too.
-- Change: The movie, here the one with the most ratings; five neighbours of each model.
WITH asked AS (
    SELECT s.movie_id, s.title FROM recsys.top_movies(1, NULL, 'most_rated') AS s
)
SELECT
    a.title AS of_movie,
    s.similar_title,
    count(*) AS models,
    string_agg(s.model || ' ' || s.rank, ', ' ORDER BY s.rank, s.model) AS ranks
FROM asked AS a
JOIN recsys.similar_movies AS s ON s.movie_id = a.movie_id AND s.rank <= 5
GROUP BY a.title, s.similar_movie_id, s.similar_title
ORDER BY models DESC, min(s.rank), s.similar_title
LIMIT 25;
