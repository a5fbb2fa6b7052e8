CREATE OR REPLACE FUNCTION recsys.live_scores(
    run_id integer, model_id smallint, scoring text, rated integer[], given double precision[]
)
RETURNS TABLE (movie_id integer, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- One of the two branches looks up NULL and returns at once. A separate condition would be
    -- tested for each of 100,000 weights; one query would add each of them up three times.
    SELECT w.similar_movie_id, sum(w.score)
    FROM (
        SELECT
            unnest(s.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(s.scores, s.real_scores::double precision[])) AS score
        FROM recsys_store.movie_similarities AS s
        WHERE s.movie_id = ANY (CASE live_scores.scoring WHEN 'sum' THEN live_scores.rated END)
          AND s.run_id = live_scores.run_id AND s.model_id = live_scores.model_id
    ) AS w
    GROUP BY w.similar_movie_id
    HAVING sum(w.score) > 0
    UNION ALL
    SELECT w.similar_movie_id, sum(w.score * w.rating) / count(*)
    FROM (
        SELECT
            unnest(s.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(s.scores, s.real_scores::double precision[])) AS score,
            g.rating
        FROM unnest(
            CASE live_scores.scoring WHEN 'sum' THEN NULL ELSE live_scores.rated END,
            live_scores.given
        ) AS g (movie_id, rating)
        JOIN recsys_store.movie_similarities AS s ON s.movie_id = g.movie_id
        WHERE s.run_id = live_scores.run_id AND s.model_id = live_scores.model_id
    ) AS w
    GROUP BY w.similar_movie_id
$$;

REVOKE ALL ON FUNCTION recsys.live_scores(integer, smallint, text, integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.live_scores(integer, smallint, text, integer[], double precision[]) IS
'Internal: scores of all movies, including those rated, from ratings and a model''s published similarities, computed as in its run';
