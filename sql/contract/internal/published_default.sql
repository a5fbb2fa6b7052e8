CREATE OR REPLACE FUNCTION recsys.published_default()
RETURNS TABLE (run_id integer, shared_run_id integer, model_id smallint, name text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.run_id, r.shared_run_id, r.default_model_id, d.name
    FROM recsys_store.runs AS r
    JOIN recsys_store.models AS d ON d.model_id = r.default_model_id
    -- A join with published could read every run.
    WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
$$;

REVOKE ALL ON FUNCTION recsys.published_default() FROM PUBLIC;
COMMENT ON FUNCTION recsys.published_default() IS
'Internal: the published run, the run it shares results of, and its default model; no row if nothing is published';
