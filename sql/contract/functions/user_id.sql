CREATE OR REPLACE FUNCTION recsys.user_id(key text)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_id integer;
BEGIN
    -- The text given may have another collation than the keys.
    found_id := (
        SELECT k.user_id FROM recsys_store.users AS k WHERE k.key = user_id.key COLLATE "C"
    );
    IF found_id IS NULL AND user_id.key COLLATE "C" ~ '^(0|[1-9][0-9]{0,9})$' THEN
        found_id := (
            SELECT k.user_id FROM recsys_store.users AS k
            WHERE k.user_id = user_id.key::bigint
        );
    END IF;
    RETURN found_id;
END
$$;

COMMENT ON FUNCTION recsys.user_id(text) IS
'The id of a user by key. A whole number that no user has as key is taken as an id. NULL: there is no such user';
