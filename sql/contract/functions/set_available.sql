CREATE OR REPLACE FUNCTION recsys.set_available(movie_id integer, available boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM recsys.require_movie(set_available.movie_id);
    IF set_available.available IS NULL THEN
        RAISE EXCEPTION 'available must not be NULL' USING ERRCODE = '22004';
    END IF;
    UPDATE recsys_store.movies AS m SET available = set_available.available
    WHERE m.movie_id = set_available.movie_id AND m.available <> set_available.available;
END
$$;

REVOKE ALL ON FUNCTION recsys.set_available(integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION recsys.set_available(integer, boolean) IS
'Withdraws a movie or brings it back. A withdrawn movie is gone from lists, charts, similar movies and searches at once, and lists are filled up with others. Its ratings stay. For the app role';

CREATE OR REPLACE FUNCTION recsys.set_available(movie_key text, available boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM recsys.set_available(
        recsys.movie_of_key(set_available.movie_key), set_available.available
    );
END
$$;

REVOKE ALL ON FUNCTION recsys.set_available(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION recsys.set_available(text, boolean) IS
'The same for a movie by key. A number is a key here, too, and never an id';
