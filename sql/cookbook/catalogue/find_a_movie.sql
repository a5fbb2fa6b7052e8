-- Question: Which movie do they mean?
-- Read off: Words in any order, beginnings of words, accents left out, a mistake in a word: the
--   most likely movie first.
-- Change: The text, such as 'star wras'. Here it is the beginning of the title with the most
--   ratings, in capitals, so that every data set has an answer.
WITH wanted AS (
    SELECT upper(left(m.title, 8)) AS text
    FROM recsys.movies AS m
    ORDER BY m.ratings_count DESC, m.movie_id
    LIMIT 1
)
SELECT w.text AS searched, s.movie_id, s.title, s.year, m.genres, m.ratings_count
FROM wanted AS w
CROSS JOIN LATERAL recsys.search_movies(w.text, 10)
    WITH ORDINALITY AS s (movie_id, title, year, movie_key, place)
JOIN recsys.movies AS m ON m.movie_id = s.movie_id
ORDER BY s.place;
