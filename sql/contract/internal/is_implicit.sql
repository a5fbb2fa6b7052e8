CREATE OR REPLACE FUNCTION recsys.is_implicit()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((
        SELECT i.feedback = 'implicit' FROM recsys_store.ingests AS i
        WHERE i.kind = 'ratings'
        ORDER BY i.ingest_id DESC
        LIMIT 1
    ), false)
$$;

REVOKE ALL ON FUNCTION recsys.is_implicit() FROM PUBLIC;
COMMENT ON FUNCTION recsys.is_implicit() IS
'Internal: whether the database holds interactions that are counted, and no ratings';
