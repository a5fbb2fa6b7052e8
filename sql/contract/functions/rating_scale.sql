CREATE OR REPLACE FUNCTION recsys.rating_scale()
RETURNS TABLE (rating_min double precision, rating_max double precision)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    -- The scale of the edition, since an ingest last replaced another edition.
    -- Interactions are all alike, however often they were counted.
    SELECT
        CASE WHEN recsys.is_implicit() THEN 1 ELSE coalesce(i.rating_min, r.rating_min) END,
        CASE WHEN recsys.is_implicit() THEN 1 ELSE coalesce(i.rating_max, r.rating_max) END
    FROM (
        SELECT min(g.rating_min) AS rating_min, max(g.rating_max) AS rating_max
        FROM recsys_store.ingests AS g
        WHERE g.ingest_id > coalesce(
            (SELECT max(o.ingest_id) - 1 FROM recsys_store.ingests AS o WHERE o.replaced), 0
        )
    ) AS i
    LEFT JOIN (
        SELECT q.rating_min, q.rating_max
        FROM recsys_store.published AS p
        JOIN recsys_store.runs AS q ON q.run_id = p.run_id
    ) AS r ON true
$$;

COMMENT ON FUNCTION recsys.rating_scale() IS
'Lowest and highest valid rating: of the edition''s scale or, if it has none, in the snapshot of the published run; NULL if neither is known. Both are 1 if the database holds interactions, whose ratings are counts';
