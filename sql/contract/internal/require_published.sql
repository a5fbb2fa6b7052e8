CREATE OR REPLACE FUNCTION recsys.require_published()
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_run_id integer;
BEGIN
    SELECT p.run_id INTO found_run_id FROM recsys_store.published AS p;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nothing is published yet'
            USING ERRCODE = '55000', HINT = 'Load ratings and refresh the recommendations.';
    END IF;
    RETURN found_run_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_published() FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_published() IS
'Internal: the published run; raises an error if nothing is published';
