CREATE OR REPLACE FUNCTION recsys.similar_users_rows(
    asked_user_id integer, asked_n integer, asked_model text
)
RETURNS TABLE (
    rank integer, user_id integer, score double precision, common_ratings integer, model text,
    run_id integer, user_key text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    asked_run_id integer;
    asked_model_id smallint;
    user_run_id integer;
BEGIN
    PERFORM recsys.require_id('user_id', asked_user_id);
    PERFORM recsys.require_n(asked_n);
    asked_run_id := recsys.require_published();
    IF asked_model IS NOT NULL THEN
        asked_model_id := recsys.require_model(asked_run_id, asked_model);
    ELSE
        SELECT m.model_id INTO asked_model_id
        FROM recsys_store.runs AS r
        JOIN recsys_store.models AS m
            ON m.similar_users_order IS NOT NULL AND r.parameters -> 'models' ? m.name
        WHERE r.run_id = asked_run_id
        ORDER BY m.similar_users_order, m.model_id
        LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'run % has compared no users', asked_run_id
                USING ERRCODE = 'RS002', HINT = 'Refresh a model that compares users.';
        END IF;
    END IF;

    SELECT h.held_run_id INTO user_run_id
    FROM recsys_store.runs AS r
    CROSS JOIN LATERAL recsys.run_of_user(r.run_id, r.shared_run_id, asked_user_id) AS h
    WHERE r.run_id = asked_run_id;
    RETURN QUERY
    SELECT
        l.rank::integer, l.user_id, l.score, l.common_ratings,
        (SELECT d.name FROM recsys_store.models AS d WHERE d.model_id = asked_model_id),
        asked_run_id, u.key
    FROM recsys_store.user_similarities AS s
    CROSS JOIN LATERAL unnest(s.similar_user_ids, s.scores, s.common_ratings)
        WITH ORDINALITY AS l (user_id, score, common_ratings, rank)
    LEFT JOIN recsys_store.users AS u ON u.user_id = l.user_id
    WHERE s.run_id = user_run_id AND s.model_id = asked_model_id AND s.user_id = asked_user_id
    ORDER BY l.rank
    LIMIT asked_n;
END
$$;

COMMENT ON FUNCTION recsys.similar_users_rows(integer, integer, text) IS
'Internal: the rows of recsys.similar_users, which callers use instead';
