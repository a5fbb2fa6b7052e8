CREATE OR REPLACE FUNCTION recsys.search_movies(query text, n integer DEFAULT 10)
RETURNS TABLE (movie_id integer, title text, year integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.movie_id, s.title, s.year
    FROM recsys.search_movies_rows(search_movies.query, search_movies.n) AS s
$$;

COMMENT ON FUNCTION recsys.search_movies(text, integer) IS
'The n movies whose titles hold all words of the query, or words that begin so, in any order, whatever their case, accents and punctuation; a year is one of the words. Whole titles first, with or without their article, also those in parentheses, then beginnings of titles, then the most rated. Where these are fewer than n, movies follow for which words of four letters or more are a letter wrong, missing or too many, or two letters changed places';
