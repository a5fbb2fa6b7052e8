CREATE OR REPLACE FUNCTION recsys.movie_id(key text)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_id integer;
BEGIN
    -- The text given may have another collation than the keys.
    found_id := (
        SELECT k.movie_id FROM recsys_store.movies AS k WHERE k.key = movie_id.key COLLATE "C"
    );
    IF found_id IS NULL AND movie_id.key COLLATE "C" ~ '^(0|[1-9][0-9]{0,9})$' THEN
        found_id := (
            SELECT k.movie_id FROM recsys_store.movies AS k
            WHERE k.movie_id = movie_id.key::bigint
        );
    END IF;
    RETURN found_id;
END
$$;

COMMENT ON FUNCTION recsys.movie_id(text) IS
'The id of a movie by key. A whole number that no movie has as key is taken as an id. NULL: there is no such movie';
