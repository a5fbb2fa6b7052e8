-- Question: How often was each rating given to a movie?
-- Read off: two peaks show that people disagree on it.
-- Change: the movie.
SELECT m.title, h.rating_from, h.rating_to, h.ratings
FROM recsys.movies AS m
CROSS JOIN LATERAL recsys.rating_histogram(m.movie_id) AS h
WHERE m.movie_id = 1
ORDER BY h.rating_from;
