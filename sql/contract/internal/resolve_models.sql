DROP FUNCTION IF EXISTS recsys.asked_models(text);  -- its name before

CREATE OR REPLACE FUNCTION recsys.resolve_models(asked_model text)
RETURNS TABLE (
    run_id integer, shared_run_id integer, movies_run_id integer,
    model_id smallint, name text, kind text,
    live_id smallint, live text, scoring text,
    content_id smallint, content text,
    chart_id smallint, chart text, personal_start boolean
)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        r.run_id, r.shared_run_id, coalesce(r.shared_run_id, r.run_id),
        m.model_id, m.name, m.kind, l.model_id, l.name, l.scoring,
        d.model_id, d.name, c.model_id, c.name, c.personal_start
    FROM recsys_store.published AS p
    JOIN recsys_store.runs AS r ON r.run_id = p.run_id
    JOIN recsys_store.models AS m ON CASE
        WHEN resolve_models.asked_model IS NULL THEN m.model_id = r.default_model_id
        ELSE m.name = resolve_models.asked_model AND r.parameters -> 'models' ? m.name
    END
    LEFT JOIN LATERAL (
        SELECT o.model_id, o.name
        FROM recsys_store.models AS o
        WHERE o.content_order IS NOT NULL
          AND m.kind <> 'chart'
          AND r.parameters -> 'models' ? o.name
        ORDER BY o.model_id = m.model_id DESC, o.content_order, o.model_id
        LIMIT 1
    ) AS d ON true
    -- A content model follows new ratings by itself.
    LEFT JOIN recsys_store.models AS l
        ON l.model_id = CASE
            WHEN m.scoring IN ('sum', 'mean_product') THEN m.model_id
            WHEN m.kind <> 'chart' AND m.model_id IS DISTINCT FROM d.model_id THEN r.live_model_id
        END
    -- A chart that is named replaces the chart for users without ratings.
    LEFT JOIN recsys_store.models AS c
        ON c.model_id = CASE WHEN m.kind = 'chart' THEN m.model_id ELSE r.cold_start_model_id END
$$;

REVOKE ALL ON FUNCTION recsys.resolve_models(text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.resolve_models(text) IS
'Internal: the published run, the run that holds its results by movie, the named or default model, and the models that complete its lists: the live model, the content model and the chart; no row if nothing is published or the run does not have the model';
