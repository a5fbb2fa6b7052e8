CREATE OR REPLACE FUNCTION recsys.verify_lists_rows(asked_run_id integer, asked_users integer)
RETURNS TABLE (
    model text, users bigint, stored bigint, recomputed bigint, missing bigint, extra bigint,
    run_id integer
)
-- Nested loops along the keys add scores up in the order of the run.
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET max_parallel_workers_per_gather = 0
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    run record;
    one record;
BEGIN
    IF asked_users < 0 THEN
        RAISE EXCEPTION 'users must be 0 or more, not %', asked_users USING ERRCODE = '22023';
    -- Lists of 100 users take seconds. The current user is the owner here.
    ELSIF coalesce(asked_users > 100, true) AND NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
        RAISE EXCEPTION 'users must be 100 or less, not %', coalesce(asked_users::text, 'NULL for all')
            USING ERRCODE = '22023', HINT = 'recsys_job may check the lists of more users.';
    END IF;
    asked_run_id := coalesce(asked_run_id, recsys.require_published());
    PERFORM recsys.require_run(asked_run_id);
    SELECT r.run_id, r.shared_run_id, r.parameters, r.pruned_at, r.state INTO run
    FROM recsys_store.runs AS r
    WHERE r.run_id = asked_run_id;
    IF run.pruned_at IS NOT NULL OR run.state <> 'complete' THEN
        RAISE EXCEPTION 'run % has no results here', run.run_id
            USING ERRCODE = 'RS004', HINT = 'recsys.runs shows which results were pruned.';
    END IF;
    FOR one IN
        SELECT m.model_id, m.name, m.scoring FROM recsys_store.models AS m
        WHERE m.scoring IN ('sum', 'mean_product') AND run.parameters -> 'models' ? m.name
        ORDER BY m.name
    LOOP
        RETURN QUERY
        WITH chosen AS MATERIALIZED (
            SELECT u.user_id, u.run_id
            FROM recsys_store.run_users AS u
            CROSS JOIN LATERAL recsys.ratings_changed(u.run_id, u.user_id) AS c
            WHERE (
                u.run_id = run.run_id
                OR u.run_id = run.shared_run_id AND NOT EXISTS (
                    SELECT FROM recsys_store.run_users AS o
                    WHERE o.run_id = run.run_id AND o.user_id = u.user_id
                )
            )
              AND u.ratings_count > 0 AND NOT c.changed
            -- An arbitrary choice of users, but the same each time.
            ORDER BY hashint4(u.user_id), u.user_id
            LIMIT asked_users
        ),
        written AS MATERIALIZED (
            SELECT c.user_id, s.rank::bigint AS rank, s.movie_id, s.score
            FROM chosen AS c
            CROSS JOIN LATERAL recsys.stored_rows(
                c.run_id, one.model_id, one.name, c.user_id
            ) AS s
        ),
        anew AS MATERIALIZED (
            SELECT c.user_id, l.rank, l.movie_id, l.score
            FROM chosen AS c
            CROSS JOIN LATERAL recsys.recomputed_list(
                coalesce(run.shared_run_id, run.run_id), one.name, one.scoring, c.user_id,
                (run.parameters ->> 'list_length')::integer
            ) AS l
        )
        SELECT
            one.name,
            (SELECT count(*) FROM chosen),
            (SELECT count(*) FROM written),
            (SELECT count(*) FROM anew),
            (SELECT count(*) FROM (TABLE anew EXCEPT ALL TABLE written) AS d),
            (SELECT count(*) FROM (TABLE written EXCEPT ALL TABLE anew) AS d),
            run.run_id;
    END LOOP;
END
$$;

COMMENT ON FUNCTION recsys.verify_lists_rows(integer, integer) IS
'Internal: the rows of recsys.verify_lists, which callers use instead';
