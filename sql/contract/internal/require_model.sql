CREATE OR REPLACE FUNCTION recsys.require_model(run_id integer, model text)
RETURNS smallint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_model_id smallint;
    names text;
BEGIN
    SELECT m.model_id INTO found_model_id
    FROM recsys_store.runs AS r
    JOIN recsys_store.models AS m ON CASE
        WHEN require_model.model IS NULL THEN m.model_id = r.default_model_id
        ELSE m.name = require_model.model AND r.parameters -> 'models' ? m.name
    END
    WHERE r.run_id = require_model.run_id;
    IF NOT FOUND THEN
        SELECT string_agg(k.name, ', ' ORDER BY k.name) INTO names
        FROM recsys_store.runs AS r
        CROSS JOIN jsonb_object_keys(r.parameters -> 'models') AS k (name)
        WHERE r.run_id = require_model.run_id;
        RAISE EXCEPTION 'run % has no model %', require_model.run_id, quote_nullable(left(require_model.model, 100))
            USING ERRCODE = 'RS002', HINT = 'It has: ' || names || '.';
    END IF;
    RETURN found_model_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_model(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_model(integer, text) IS
'Internal: number of the named model or, without a name, of the default one; raises an error if the run does not have it';
