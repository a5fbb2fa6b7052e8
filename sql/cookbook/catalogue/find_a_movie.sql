-- Question: Which movie do they mean?
-- Read off: Words in any order, beginnings of words, accents left out, a mistake in a word: the
--   most likely first.
-- Change: The text searched.
SELECT s.movie_id, s.title, s.year, m.genres, m.ratings_count
FROM recsys.search_movies('film 1', 10) AS s
JOIN recsys.movies AS m ON m.movie_id = s.movie_id;
