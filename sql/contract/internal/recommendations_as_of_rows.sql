CREATE OR REPLACE FUNCTION recsys.recommendations_as_of_rows(
    asked_user_id integer, asked_at timestamptz, asked_n integer
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    then_run record;
BEGIN
    PERFORM recsys.require_id('user_id', asked_user_id);
    PERFORM recsys.require_n(asked_n);
    IF asked_at IS NULL THEN
        RAISE EXCEPTION 'at must not be NULL' USING ERRCODE = '22004';
    END IF;

    -- An entry of the log is valid until the next one.
    SELECT r.run_id, r.pruned_at, r.default_model_id, d.name AS default_model INTO then_run
    FROM (
        SELECT p.run_id FROM recsys_store.publications AS p
        WHERE p.published_at <= asked_at
        ORDER BY p.publication_id DESC
        LIMIT 1
    ) AS l
    JOIN recsys_store.runs AS r ON r.run_id = l.run_id
    LEFT JOIN recsys_store.models AS d ON d.model_id = r.default_model_id;
    IF NOT FOUND THEN
        RETURN;
    ELSIF then_run.pruned_at IS NOT NULL THEN
        RAISE EXCEPTION 'run %, published then, was pruned at %', then_run.run_id, then_run.pruned_at
            USING ERRCODE = 'RS004',
                HINT = 'recsys.runs says which are kept; keep_runs in recsys.toml, how many.';
    END IF;

    RETURN QUERY
    SELECT u.rank::integer, u.movie_id, m.title, u.score, coalesce(s.name, then_run.default_model), u.run_id
    FROM recsys_store.user_recommendations AS u
    JOIN recsys_store.movies AS m ON m.movie_id = u.movie_id
    LEFT JOIN recsys_store.models AS s ON s.model_id = u.source_model_id
    WHERE u.run_id = then_run.run_id
      AND u.model_id = then_run.default_model_id
      AND u.user_id = asked_user_id
    ORDER BY u.rank
    LIMIT asked_n;
END
$$;

COMMENT ON FUNCTION recsys.recommendations_as_of_rows(integer, timestamptz, integer) IS
'Internal: the rows of recsys.recommendations_as_of, which callers use instead';
