CREATE OR REPLACE FUNCTION recsys.movie_of_key(movie_key text)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_id CONSTANT integer := (
        SELECT m.movie_id FROM recsys_store.movies AS m
        WHERE m.key = movie_of_key.movie_key COLLATE "C"
    );
BEGIN
    IF found_id IS NULL THEN
        PERFORM recsys.asked_movie(movie_of_key.movie_key);
        RAISE EXCEPTION 'there is no movie with the key %', quote_literal(movie_of_key.movie_key)
            USING ERRCODE = 'P0002', HINT = 'Write ids as integers, without quotes.';
    END IF;
    RETURN found_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.movie_of_key(text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.movie_of_key(text) IS
'Internal: the id of a movie by key alone: what is written must not fall on a movie that has the key of another one as its id. Raises an error if there is no such movie';
