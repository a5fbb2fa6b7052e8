CREATE OR REPLACE FUNCTION recsys.asked_key(movie_id integer)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_key CONSTANT text := (
        SELECT m.movie_key FROM recsys.movies AS m WHERE m.movie_id = asked_key.movie_id
    );
BEGIN
    IF found_key IS NULL THEN
        RAISE EXCEPTION 'there is no movie %', asked_key.movie_id
            USING ERRCODE = 'P0002', HINT = 'recsys.search_movies finds movies by their titles.';
    END IF;
    RETURN found_key;
END
$$;

COMMENT ON FUNCTION recsys.asked_key(integer) IS
'Internal: the key of a movie by id; raises an error if there is no such movie';
