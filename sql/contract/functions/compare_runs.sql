CREATE OR REPLACE FUNCTION recsys.compare_runs(a integer, b integer, k integer DEFAULT 10)
RETURNS TABLE (
    part text, model text, protocol text, metric text, segment text,
    value_a double precision, value_b double precision, value double precision, n bigint
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Planned for the two runs, so that only their partitions are opened.
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    asked integer;
    run record;
    -- The run that a run shares the results of, if any, and the one that has its results by movie.
    shared_a integer;
    shared_b integer;
    movies_a integer;
    movies_b integer;
    p CONSTANT double precision := 0.9;
    -- At m the sum of p ^ d / d over the depths d from m to k; 0 beyond k.
    tails double precision[];
BEGIN
    IF k IS NULL OR k NOT BETWEEN 1 AND 1000 THEN
        RAISE 'lists cannot be compared to a depth of %', coalesce(k::text, 'NULL')
        USING ERRCODE = CASE WHEN k IS NULL THEN '22004' ELSE '22023' END,
            HINT = 'k is a number from 1 to 1000';
    END IF;
    FOREACH asked IN ARRAY ARRAY[a, b] LOOP
        PERFORM recsys.require_run(asked);
        SELECT r.kind, r.state, r.pruned_at INTO run
        FROM recsys_store.runs AS r WHERE r.run_id = asked;
        IF run.kind <> 'refresh' THEN
            RAISE 'run % is an evaluation, which has no results to compare', asked
            USING ERRCODE = 'RS004',
                HINT = 'its figures are in recsys.run_metrics';
        ELSIF run.state <> 'complete' THEN
            RAISE 'run % has no results to compare: it is %', asked, run.state
            USING ERRCODE = 'RS004',
                HINT = 'compare runs whose state in recsys.runs is complete';
        ELSIF run.pruned_at IS NOT NULL THEN
            RAISE 'the results of run % were pruned', asked
            USING ERRCODE = 'RS004',
                HINT = 'its figures are still in recsys.run_metrics';
        END IF;
    END LOOP;

    shared_a := (SELECT r.shared_run_id FROM recsys_store.runs AS r WHERE r.run_id = a);
    shared_b := (SELECT r.shared_run_id FROM recsys_store.runs AS r WHERE r.run_id = b);
    movies_a := coalesce(shared_a, a);
    movies_b := coalesce(shared_b, b);
    tails := ARRAY(
        SELECT coalesce(sum(p ^ d.depth / d.depth) OVER (ORDER BY d.depth DESC), 0)
        FROM generate_series(1, k) AS d (depth)
        ORDER BY d.depth
    ) || 0::double precision;

    RETURN QUERY
    WITH pairs AS (
        SELECT
            model_id, user_id,
            count(x.rank) AS length_a,
            count(y.rank) AS length_b,
            count(x.rank + y.rank) AS common,
            bool_or(x.rank IS DISTINCT FROM y.rank) AS changed,
            sum(tails[greatest(x.rank, y.rank)]) FILTER (WHERE x.rank + y.rank > 0) AS weight,
            -- Where a movie that both lists hold has been met in both.
            array_agg(greatest(x.rank, y.rank)) FILTER (WHERE x.rank + y.rank > 0) AS met
        FROM (
            SELECT
                u.model_id, u.user_id, unnest(u.movie_ids[:k]) AS movie_id,
                generate_subscripts(u.movie_ids[:k], 1) AS rank
            FROM recsys_store.user_recommendations AS u
            WHERE u.run_id = a OR (
                u.run_id = shared_a AND NOT EXISTS (
                    SELECT FROM recsys_store.run_users AS o
                    WHERE o.run_id = a AND o.user_id = u.user_id
                )
            )
        ) AS x
        FULL JOIN (
            SELECT
                u.model_id, u.user_id, unnest(u.movie_ids[:k]) AS movie_id,
                generate_subscripts(u.movie_ids[:k], 1) AS rank
            FROM recsys_store.user_recommendations AS u
            WHERE u.run_id = b OR (
                u.run_id = shared_b AND NOT EXISTS (
                    SELECT FROM recsys_store.run_users AS o
                    WHERE o.run_id = b AND o.user_id = u.user_id
                )
            )
        ) AS y USING (model_id, user_id, movie_id)
        GROUP BY model_id, user_id
    ),
    measured AS (
        SELECT
            q.model_id, q.length_a, q.length_b, q.changed,
            q.common::double precision / l.long AS overlap,
            -- Equation 32 of Webber, Moffat and Zobel (2010), summed by movie instead of by depth.
            CASE
                WHEN l.short = 0 THEN 0
                ELSE (1 - p) / p * (
                    coalesce(q.weight, 0) - q.common * tails[l.long + 1]
                    + l.met::double precision / l.short * (
                        (p ^ (l.short + 1) - p ^ (l.long + 1)) / (1 - p)
                        - l.short * (tails[l.short + 1] - tails[l.long + 1])
                    )
                ) + p ^ l.long * (
                    (q.common - l.met)::double precision / l.long
                    + l.met::double precision / l.short
                )
            END AS rbo
        FROM pairs AS q
        CROSS JOIN LATERAL (
            SELECT
                least(q.length_a, q.length_b)::integer AS short,
                greatest(q.length_a, q.length_b)::integer AS long,
                CASE
                    WHEN q.length_a = q.length_b THEN q.common
                    ELSE (
                        SELECT count(*) FROM unnest(q.met) AS m (depth)
                        WHERE m.depth <= least(q.length_a, q.length_b)
                    )
                END AS met
        ) AS l
    ),
    summed AS (
        SELECT
            m.model_id,
            count(*) AS users,
            count(*) FILTER (WHERE m.length_a > 0) AS users_a,
            count(*) FILTER (WHERE m.length_b > 0) AS users_b,
            count(*) FILTER (WHERE m.changed) AS changed,
            count(*) FILTER (WHERE m.length_a = 0) AS gained,
            count(*) FILTER (WHERE m.length_b = 0) AS lost,
            avg(m.overlap) AS overlap,
            avg(m.rbo) AS rbo
        FROM measured AS m
        GROUP BY m.model_id
    )
    SELECT
        'lists', d.name, NULL::text, v.metric, 'all', v.value_a, v.value_b,
        -- Rounded, so that the order of the terms does not matter.
        round(v.value::numeric, 12)::double precision, s.users
    FROM summed AS s
    JOIN recsys_store.models AS d ON d.model_id = s.model_id
    CROSS JOIN LATERAL (VALUES
        (1, 'overlap@' || k, NULL::double precision, NULL::double precision, s.overlap),
        (2, 'rbo@' || k, NULL, NULL, s.rbo),
        (3, 'users', s.users_a, s.users_b, s.users_b - s.users_a),
        (4, 'users_changed', NULL, NULL, s.changed),
        (5, 'users_changed_share', NULL, NULL, s.changed / s.users::double precision),
        (6, 'users_gained', NULL, NULL, s.gained),
        (7, 'users_lost', NULL, NULL, s.lost)
    ) AS v (place, metric, value_a, value_b, value)
    WHERE s.users_a > 0 AND s.users_b > 0
    ORDER BY d.name, v.place;

    RETURN QUERY
    -- UNION, because a run may be compared with itself.
    WITH by_movie (run_id, held_run_id) AS (
        SELECT a, movies_a UNION SELECT b, movies_b
    ),
    by_user (run_id, held_run_id, own) AS (
        SELECT a, a, true UNION SELECT b, b, true
        UNION SELECT a, shared_a, false UNION SELECT b, shared_b, false
    ),
    of_movies (name, run_id, model_id, entries) AS (
        SELECT 'movie_similarities', r.run_id, r.model_id, cardinality(r.similar_movie_ids)
        FROM recsys_store.movie_similarities AS r WHERE r.run_id IN (movies_a, movies_b)
        UNION ALL
        SELECT 'movie_charts', r.run_id, r.model_id, 1
        FROM recsys_store.movie_charts AS r WHERE r.run_id IN (movies_a, movies_b)
        UNION ALL
        SELECT 'movie_factors', r.run_id, r.model_id, 1
        FROM recsys_store.movie_factors AS r WHERE r.run_id IN (movies_a, movies_b)
        UNION ALL
        SELECT 'networks', r.run_id, r.model_id, 1
        FROM recsys_store.networks AS r WHERE r.run_id IN (movies_a, movies_b)
    ),
    of_users (name, run_id, model_id, user_id, entries) AS (
        SELECT 'user_similarities', r.run_id, r.model_id, r.user_id, cardinality(r.scores)
        FROM recsys_store.user_similarities AS r WHERE r.run_id IN (a, b, shared_a, shared_b)
        UNION ALL
        SELECT 'user_recommendations', r.run_id, r.model_id, r.user_id, cardinality(r.scores)
        FROM recsys_store.user_recommendations AS r WHERE r.run_id IN (a, b, shared_a, shared_b)
        UNION ALL
        SELECT 'user_factors', r.run_id, r.model_id, r.user_id, 1
        FROM recsys_store.user_factors AS r WHERE r.run_id IN (a, b, shared_a, shared_b)
    ),
    counted (name, run_id, model_id, count) AS (
        SELECT r.name, v.run_id, r.model_id, sum(r.entries)
        FROM of_movies AS r
        JOIN by_movie AS v ON v.held_run_id = r.run_id
        GROUP BY r.name, v.run_id, r.model_id
        UNION ALL
        SELECT r.name, v.run_id, r.model_id, sum(r.entries)
        FROM of_users AS r
        JOIN by_user AS v ON v.held_run_id = r.run_id
        WHERE v.own OR NOT EXISTS (
            SELECT FROM recsys_store.run_users AS o
            WHERE o.run_id = v.run_id AND o.user_id = r.user_id
        )
        GROUP BY r.name, v.run_id, r.model_id
    ),
    both_runs AS (
        SELECT
            c.name, c.model_id,
            coalesce(max(c.count) FILTER (WHERE c.run_id = a), 0)::double precision AS value_a,
            coalesce(max(c.count) FILTER (WHERE c.run_id = b), 0)::double precision AS value_b
        FROM counted AS c
        GROUP BY c.name, c.model_id
    )
    SELECT
        'rows', d.name, NULL::text, c.name, NULL::text, c.value_a, c.value_b,
        c.value_b - c.value_a, NULL::bigint
    FROM both_runs AS c
    JOIN recsys_store.models AS d ON d.model_id = c.model_id
    ORDER BY d.name, c.name;

    RETURN QUERY
    SELECT
        'metrics', d.name, x.protocol, x.metric, x.segment, x.value, y.value, y.value - x.value,
        least(x.n, y.n)
    FROM recsys_store.run_metrics AS x
    JOIN recsys_store.run_metrics AS y USING (model_id, protocol, metric, segment)
    JOIN recsys_store.models AS d ON d.model_id = x.model_id
    WHERE x.run_id = a AND y.run_id = b
    ORDER BY d.name, x.protocol, x.metric, x.segment;
END
$$;

COMMENT ON FUNCTION recsys.compare_runs(integer, integer, integer) IS
'Compares two complete runs whose results are kept. value is the comparison: b minus a if both runs have a figure. part lists: for each model with lists in both, over the n users with a list in either, the first k of their two lists: overlap (movies in both by the length of the longer, which is k where it is full), rbo (rank-biased overlap, extrapolated from depth k, p = 0.9), users (with a list), users_changed and its share (any place differs), users_gained and users_lost (a list in b only, in a only; overlap and rbo 0, changed). part rows: rows in each result table, for lists their entries, 0 for a run without. part metrics: every figure of recsys.run_metrics that both have, n the smaller of the two. An unknown run: error RS001; a run that is not complete, was pruned or is an evaluation: RS004; k not from 1 to 1000: 22023; NULL: 22004';
