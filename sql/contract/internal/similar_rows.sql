CREATE OR REPLACE FUNCTION recsys.similar_rows(
    asked_movie_id integer, asked_n integer, asked_model text
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
    asked_run_id integer;
    movies_run_id integer;
    asked_model_id smallint;
BEGIN
    PERFORM recsys.require_n(asked_n);
    PERFORM recsys.require_movie(asked_movie_id);
    asked_run_id := recsys.require_published();
    asked_model_id := recsys.require_model(asked_run_id, asked_model);
    movies_run_id := (
        SELECT coalesce(r.shared_run_id, r.run_id) FROM recsys_store.runs AS r
        WHERE r.run_id = asked_run_id
    );
    IF asked_model IS NULL AND NOT EXISTS (
        SELECT FROM recsys_store.movie_similarities AS s
        WHERE s.run_id = movies_run_id AND s.model_id = asked_model_id
          AND s.movie_id = asked_movie_id AND coalesce(s.scores[1], s.real_scores[1]) > 0
    ) THEN
        asked_model_id := (
            SELECT d.model_id
            FROM recsys_store.runs AS r
            JOIN recsys_store.models AS d ON r.parameters -> 'models' ? d.name
            WHERE r.run_id = asked_run_id
              AND EXISTS (
                  SELECT FROM recsys_store.movie_similarities AS s
                  WHERE s.run_id = movies_run_id AND s.model_id = d.model_id
                    AND s.movie_id = asked_movie_id AND coalesce(s.scores[1], s.real_scores[1]) > 0
              )
            -- Models that use ratings before models that use content.
            ORDER BY d.similar_order, d.model_id
            LIMIT 1
        );
    END IF;

    RETURN QUERY
    SELECT
        (row_number() OVER (ORDER BY s.rank))::integer, s.similar_movie_id, m.title, s.score,
        (SELECT d.name FROM recsys_store.models AS d WHERE d.model_id = asked_model_id),
        asked_run_id, m.key
    FROM (
        SELECT
            generate_subscripts(l.similar_movie_ids, 1) AS rank,
            unnest(l.similar_movie_ids) AS similar_movie_id,
            unnest(coalesce(l.scores, l.real_scores::double precision[])) AS score
        FROM recsys_store.movie_similarities AS l
        WHERE l.run_id = movies_run_id
          AND l.model_id = asked_model_id
          AND l.movie_id = asked_movie_id
        ORDER BY rank
    ) AS s
    JOIN recsys_store.movies AS m ON m.movie_id = s.similar_movie_id AND m.available
    WHERE s.score > 0
    ORDER BY s.rank
    LIMIT asked_n;
END
$$;

COMMENT ON FUNCTION recsys.similar_rows(integer, integer, text) IS
'Internal: the rows of recsys.similar, which callers use instead';
