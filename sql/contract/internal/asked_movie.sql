CREATE OR REPLACE FUNCTION recsys.asked_movie(movie_key text)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_id CONSTANT integer := recsys.movie_id(asked_movie.movie_key);
BEGIN
    IF asked_movie.movie_key IS NULL THEN
        RAISE EXCEPTION 'movie_id must not be NULL' USING ERRCODE = '22004';
    ELSIF found_id IS NULL THEN
        RAISE EXCEPTION 'there is no movie %', CASE
                WHEN asked_movie.movie_key COLLATE "C" ~ '^[0-9]+$'
                    THEN left(asked_movie.movie_key, 100)
                ELSE quote_literal(left(asked_movie.movie_key, 100))
            END
            USING ERRCODE = 'P0002', HINT = 'recsys.search_movies finds movies by their titles.';
    END IF;
    RETURN found_id;
END
$$;

COMMENT ON FUNCTION recsys.asked_movie(text) IS
'Internal: the id of a movie by key; raises an error if there is no such movie';
