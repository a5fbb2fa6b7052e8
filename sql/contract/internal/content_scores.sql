CREATE OR REPLACE FUNCTION recsys.content_scores(
    run_id integer, model_id smallint, rated integer[], given double precision[]
)
RETURNS TABLE (movie_id integer, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        s.similar_movie_id,
        -- Rounded, so that equal movies tie in whatever order they are summed.
        round((
            sum(s.rating * s.score) / (
                SELECT sum(a.rating) FROM unnest(content_scores.given) AS a (rating)
                WHERE a.rating > 0
            )
        )::numeric, 12)::double precision
    FROM (
        SELECT
            unnest(l.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(l.scores, l.real_scores::double precision[])) AS score,
            g.rating
        FROM unnest(content_scores.rated, content_scores.given) AS g (movie_id, rating)
        JOIN recsys_store.movie_similarities AS l ON l.movie_id = g.movie_id
        WHERE g.rating > 0
          AND l.run_id = content_scores.run_id AND l.model_id = content_scores.model_id
    ) AS s
    GROUP BY s.similar_movie_id
$$;

REVOKE ALL ON FUNCTION recsys.content_scores(integer, smallint, integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.content_scores(integer, smallint, integer[], double precision[]) IS
'Internal: mean similarity of each movie to those rated above 0, by a content model, weighted by the ratings';
