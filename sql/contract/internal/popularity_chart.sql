CREATE OR REPLACE FUNCTION recsys.popularity_chart()
RETURNS TABLE (run_id integer, model_id smallint)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT coalesce(r.shared_run_id, r.run_id), d.model_id
    FROM recsys_store.published AS p
    JOIN recsys_store.runs AS r ON r.run_id = p.run_id
    JOIN recsys_store.models AS d
        ON d.popularity_order IS NOT NULL AND r.parameters -> 'models' ? d.name
    ORDER BY d.popularity_order, d.model_id
    LIMIT 1
$$;

REVOKE ALL ON FUNCTION recsys.popularity_chart() FROM PUBLIC;

COMMENT ON FUNCTION recsys.popularity_chart() IS
'Internal: the run that holds the published charts, and the preferred chart of popularity; no row if there is none';
