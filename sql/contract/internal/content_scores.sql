CREATE OR REPLACE FUNCTION recsys.content_scores(
    run_id integer, model_ids smallint[], movie_ids integer[], weights double precision[]
)
RETURNS TABLE (movie_id integer, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        s.similar_movie_id,
        -- Rounded, so that equal movies tie in whatever order they are summed.
        round((
            sum(s.weight * s.score) / (
                SELECT sum(a.weight) FROM unnest(content_scores.weights) AS a (weight)
            )
        )::numeric, 12)::double precision
    FROM (
        SELECT
            unnest(l.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(l.scores, l.real_scores::double precision[])) AS score,
            g.weight
        FROM unnest(
            content_scores.model_ids, content_scores.movie_ids, content_scores.weights
        ) AS g (model_id, movie_id, weight)
        JOIN recsys_store.movie_similarities AS l
            ON l.movie_id = g.movie_id AND l.model_id = g.model_id
        WHERE l.run_id = content_scores.run_id
    ) AS s
    GROUP BY s.similar_movie_id
$$;

REVOKE ALL ON FUNCTION recsys.content_scores(integer, smallint[], integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.content_scores(integer, smallint[], integer[], double precision[]) IS
'Internal: mean similarity of each movie to those rated, by a content model, by what each rating counts';
