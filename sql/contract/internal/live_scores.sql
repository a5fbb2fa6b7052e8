CREATE OR REPLACE FUNCTION recsys.live_scores(
    run_id integer, scoring text, model_ids smallint[], movie_ids integer[],
    weights double precision[]
)
RETURNS TABLE (movie_id integer, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- One of the two branches looks up NULL and returns at once. A separate condition would be
    -- tested for each of 100,000 weights; one query would add each of them up three times.
    SELECT w.similar_movie_id, sum(w.score * w.weight)
    FROM (
        SELECT
            unnest(s.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(s.scores, s.real_scores::double precision[])) AS score,
            g.weight
        FROM unnest(
            live_scores.model_ids,
            CASE live_scores.scoring WHEN 'sum' THEN live_scores.movie_ids END,
            live_scores.weights
        ) AS g (model_id, movie_id, weight)
        JOIN recsys_store.movie_similarities AS s
            ON s.movie_id = g.movie_id AND s.model_id = g.model_id
        WHERE s.run_id = live_scores.run_id
    ) AS w
    GROUP BY w.similar_movie_id
    HAVING sum(w.score * w.weight) > 0
    UNION ALL
    SELECT w.similar_movie_id, sum(w.score * w.weight) / count(*)
    FROM (
        SELECT
            unnest(s.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(s.scores, s.real_scores::double precision[])) AS score,
            g.weight
        FROM unnest(
            live_scores.model_ids,
            CASE live_scores.scoring WHEN 'sum' THEN NULL ELSE live_scores.movie_ids END,
            live_scores.weights
        ) AS g (model_id, movie_id, weight)
        JOIN recsys_store.movie_similarities AS s
            ON s.movie_id = g.movie_id AND s.model_id = g.model_id
        WHERE s.run_id = live_scores.run_id
    ) AS w
    GROUP BY w.similar_movie_id
$$;

REVOKE ALL ON FUNCTION recsys.live_scores(integer, text, smallint[], integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.live_scores(integer, text, smallint[], integer[], double precision[]) IS
'Internal: scores of all movies, including those rated, from the weights of ratings and the published similarities of models, computed as in the run';
