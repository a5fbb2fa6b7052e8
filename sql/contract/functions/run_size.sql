CREATE OR REPLACE FUNCTION recsys.run_size(run_id integer)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM recsys.require_run(run_size.run_id);
    RETURN (
        SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        JOIN pg_class AS t ON t.oid = i.inhparent
        WHERE t.relnamespace = 'recsys_store'::regnamespace
          AND t.relkind = 'p'
          AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%s)', run_size.run_id)
    );
END
$$;

COMMENT ON FUNCTION recsys.run_size(integer) IS
'Bytes on disk of the results of a run, with their indexes, without those that it shares with a full run; 0 for a run without results: pruned, failed or an evaluation. An unknown run: error RS001';
