CREATE OR REPLACE FUNCTION recsys.require_chart(run_id integer, chart text)
RETURNS smallint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    found_model_id smallint;
    names text;
BEGIN
    SELECT m.model_id INTO found_model_id
    FROM recsys_store.runs AS r
    JOIN recsys_store.models AS m
        ON m.kind = 'chart'
        AND r.parameters -> 'models' ? m.name
        AND m.name = coalesce(require_chart.chart, m.name)
    WHERE r.run_id = require_chart.run_id
    -- Without times, trending has no movies.
    ORDER BY
        NOT EXISTS (
            SELECT FROM recsys_store.movie_charts AS c
            WHERE c.run_id = coalesce(r.shared_run_id, r.run_id) AND c.model_id = m.model_id
        ),
        m.top_order, m.model_id = r.cold_start_model_id DESC NULLS LAST, m.model_id
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO names
        FROM recsys_store.runs AS r
        JOIN recsys_store.models AS m ON m.kind = 'chart' AND r.parameters -> 'models' ? m.name
        WHERE r.run_id = require_chart.run_id;
        RAISE EXCEPTION 'run % has no chart %', require_chart.run_id, coalesce(quote_literal(left(require_chart.chart, 100)), 'at all')
            USING ERRCODE = 'RS002', HINT = 'It has: ' || coalesce(names, 'none') || '.';
    END IF;
    RETURN found_model_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_chart(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_chart(integer, text) IS
'Internal: number of the model of the named chart or, without a name, of the preferred one; raises an error if the run does not have it';
