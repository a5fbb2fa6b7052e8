CREATE OR REPLACE FUNCTION recsys.recommendations_as_of_rows(
    asked_user_id integer, asked_at timestamptz, asked_n integer
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer,
    movie_key text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10
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
    SELECT r.run_id, r.shared_run_id, r.pruned_at, r.default_model_id, d.name AS default_model
    INTO then_run
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
    SELECT s.rank, s.movie_id, m.title, s.score, s.model_name, then_run.run_id, m.key
    FROM recsys.run_of_user(then_run.run_id, then_run.shared_run_id, asked_user_id) AS h
    CROSS JOIN LATERAL recsys.stored_rows(
        h.held_run_id, then_run.default_model_id, then_run.default_model, asked_user_id
    ) AS s
    JOIN recsys_store.movies AS m ON m.movie_id = s.movie_id
    ORDER BY s.rank
    LIMIT asked_n;
END
$$;

COMMENT ON FUNCTION recsys.recommendations_as_of_rows(integer, timestamptz, integer) IS
'Internal: the rows of recsys.recommendations_as_of, which callers use instead';
