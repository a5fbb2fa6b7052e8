CREATE OR REPLACE FUNCTION recsys.changed_since(run_id integer, user_id integer)
RETURNS TABLE (changed boolean)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT (
        -- Of who took all of them back, as of who never rated.
        SELECT nullif(bit_xor(c.ratings_hash), 0)
        FROM recsys_store.rating_changes AS c
        WHERE c.user_id = changed_since.user_id
    ) IS DISTINCT FROM (
        SELECT s.ratings_hash
        FROM recsys_store.run_users AS s
        WHERE s.run_id = changed_since.run_id AND s.user_id = changed_since.user_id
    )
$$;

REVOKE ALL ON FUNCTION recsys.changed_since(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.changed_since(integer, integer) IS
'Internal: whether a user has other ratings now than the snapshot of a run held, whenever they were committed';
