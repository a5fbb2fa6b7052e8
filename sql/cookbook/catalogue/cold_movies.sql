-- Question: Which movies have no ratings, and what would sell them?
-- Read off: Movies without ratings beside the best-known movie with similar content: show them
--   to people who liked that one.
-- Change: The content model is the one of the published run.
SELECT DISTINCT ON (m.movie_id)
    m.movie_id, m.title, m.year, m.genres, s.similar_title AS show_to_those_who_liked,
    k.ratings_count AS they_are, round(s.score::numeric, 3) AS similarity
FROM recsys.movies AS m
JOIN recsys.similar_movies AS s ON s.movie_id = m.movie_id AND s.model LIKE 'content%'
JOIN recsys.movies AS k ON k.movie_id = s.similar_movie_id
WHERE m.ratings_count = 0
ORDER BY m.movie_id, k.ratings_count DESC, s.score DESC, s.similar_movie_id
LIMIT 20;
