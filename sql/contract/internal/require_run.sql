CREATE OR REPLACE FUNCTION recsys.require_run(run_id integer)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    PERFORM recsys.require_id('run_id', require_run.run_id);
    IF NOT EXISTS (SELECT FROM recsys_store.runs AS r WHERE r.run_id = require_run.run_id) THEN
        RAISE EXCEPTION 'there is no run %', require_run.run_id
            USING ERRCODE = 'RS001', HINT = 'recsys.runs holds every run';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_run(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_run(integer) IS
'Internal: raises an error if the run does not exist';
