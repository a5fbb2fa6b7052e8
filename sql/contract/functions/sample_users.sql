CREATE OR REPLACE FUNCTION recsys.sample_users(n integer, seed double precision DEFAULT 0)
RETURNS TABLE (user_id integer, user_key text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- A block has more than 100 users. Of 12 blocks on average, hardly ever none is drawn.
    blocks CONSTANT double precision := 12 + sample_users.n / 50.0;
    seed CONSTANT double precision := coalesce(sample_users.seed, 0);
    total CONSTANT double precision :=
        greatest(1, pg_relation_size('recsys_store.users'::regclass)
            / current_setting('block_size')::integer);
BEGIN
    PERFORM recsys.require_n(sample_users.n);
    RETURN QUERY
    SELECT u.user_id, u.key
    FROM recsys_store.users AS u
        TABLESAMPLE SYSTEM (least(100, 100 * blocks / total)) REPEATABLE (seed)
    WHERE EXISTS (SELECT FROM recsys_store.ratings AS r WHERE r.user_id = u.user_id)
    -- Neighbours in a block need not be neighbours in the sample.
    ORDER BY hashfloat8extended(u.user_id + seed, 0), u.user_id
    LIMIT sample_users.n;
END
$$;

COMMENT ON FUNCTION recsys.sample_users(integer, double precision) IS
'At most n users who have rated, as a sample that reads a few blocks of the users and not all ratings. The same seed gives the same users until users change; random() as the seed gives others each time';
