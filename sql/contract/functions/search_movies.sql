CREATE OR REPLACE FUNCTION recsys.search_movies(query text, n integer DEFAULT 10)
RETURNS TABLE (movie_id integer, title text, year integer, movie_key text)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.movie_id, s.title, s.year, s.movie_key
    FROM recsys.search_movies_rows(search_movies.query, search_movies.n) AS s
$$;

COMMENT ON FUNCTION recsys.search_movies(text, integer) IS
'Finds n movies by title. A title matches if it has every word of the query, or a word that starts with it, in any order; case, accents and punctuation do not matter, and the year counts as a word. Whole titles come first, with or without their article or parentheses, then beginnings of titles, then the most rated movies. If there are fewer than n, movies follow whose words of four letters or more differ by one typing error';
