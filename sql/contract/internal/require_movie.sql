CREATE OR REPLACE FUNCTION recsys.require_movie(movie_id integer)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    PERFORM recsys.require_id('movie_id', require_movie.movie_id);
    IF NOT EXISTS (
        SELECT FROM recsys_store.movies AS m WHERE m.movie_id = require_movie.movie_id
    ) THEN
        RAISE EXCEPTION 'there is no movie %', require_movie.movie_id
            USING ERRCODE = 'P0002', HINT = 'recsys.search_movies finds movies by their titles.';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_movie(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_movie(integer) IS
'Internal: raises an error if the movie does not exist';
