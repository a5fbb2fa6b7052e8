DROP FUNCTION IF EXISTS recsys.list_anew(integer, smallint, text, integer, integer);  -- its name before

CREATE OR REPLACE FUNCTION recsys.recomputed_list(
    run_id integer, model text, scoring text, user_id integer, length integer
)
RETURNS TABLE (rank bigint, movie_id integer, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT row_number() OVER (ORDER BY s.score DESC, s.movie_id), s.movie_id, s.score
    FROM recsys.current_ratings(recomputed_list.user_id) AS g
    CROSS JOIN LATERAL recsys.rating_weights(
        recomputed_list.run_id, recomputed_list.model, g.movie_ids, g.given, g.rated_at
    ) AS w
    CROSS JOIN LATERAL recsys.live_scores(
        recomputed_list.run_id, recomputed_list.scoring, w.model_ids, w.movie_ids, w.weights
    ) AS s
    WHERE NOT EXISTS (
        SELECT FROM recsys_store.ratings AS r
        WHERE r.user_id = recomputed_list.user_id AND r.movie_id = s.movie_id
    )
    ORDER BY s.score DESC, s.movie_id
    LIMIT recomputed_list.length
$$;

REVOKE ALL ON FUNCTION recsys.recomputed_list(integer, text, text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.recomputed_list(integer, text, text, integer, integer) IS
'Internal: the list recomputed from a user''s current ratings and a model''s published similarities, as its run would store it. The caller plans nested loops along the keys';
