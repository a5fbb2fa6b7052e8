CREATE OR REPLACE FUNCTION recsys.require_chart(run_id integer, chart text)
RETURNS smallint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_model_id smallint;
    names text;
BEGIN
    IF require_chart.chart IS NULL THEN
        RAISE EXCEPTION 'chart must not be NULL'
            USING ERRCODE = '22004', HINT = 'Leave it out for the default.';
    END IF;
    SELECT m.model_id INTO found_model_id
    FROM recsys_store.runs AS r
    JOIN recsys_store.models AS m
        ON m.name = require_chart.chart AND m.kind = 'chart' AND r.parameters -> 'models' ? m.name
    WHERE r.run_id = require_chart.run_id;
    IF NOT FOUND THEN
        SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO names
        FROM recsys_store.runs AS r
        JOIN recsys_store.models AS m ON m.kind = 'chart' AND r.parameters -> 'models' ? m.name
        WHERE r.run_id = require_chart.run_id;
        RAISE EXCEPTION 'run % has no chart %', require_chart.run_id, quote_literal(require_chart.chart)
            USING ERRCODE = '22023', HINT = 'It has: ' || coalesce(names, 'none') || '.';
    END IF;
    RETURN found_model_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_chart(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_chart(integer, text) IS
'Internal: number of the model of the named chart; raises unless the run has it';
