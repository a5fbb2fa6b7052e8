DROP FUNCTION IF EXISTS recsys.changed_since(integer, integer);  -- its name before

CREATE OR REPLACE FUNCTION recsys.ratings_changed(run_id integer, user_id integer)
RETURNS TABLE (changed boolean)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT (
        -- A user who removed every rating counts as one who never rated.
        SELECT nullif(bit_xor(c.ratings_hash), 0)
        FROM recsys_store.rating_changes AS c
        WHERE c.user_id = ratings_changed.user_id
    ) IS DISTINCT FROM (
        SELECT nullif(s.ratings_hash, 0)
        FROM recsys_store.run_users AS s
        WHERE s.run_id = ratings_changed.run_id AND s.user_id = ratings_changed.user_id
    )
$$;

REVOKE ALL ON FUNCTION recsys.ratings_changed(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.ratings_changed(integer, integer) IS
'Internal: whether a user''s ratings differ from the snapshot of a run, whenever they were committed';
