CREATE OR REPLACE FUNCTION recsys.similar(
    movie_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank::integer, s.similar_movie_id, m.title, s.score, d.name, s.run_id
    FROM recsys_store.movie_similarities AS s
    JOIN recsys_store.models AS d ON d.model_id = s.model_id
    JOIN recsys_store.movies AS m ON m.movie_id = s.similar_movie_id
    WHERE s.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
      AND s.model_id = (
          SELECT coalesce(asked.model_id, r.default_model_id)
          FROM recsys_store.published AS p
          JOIN recsys_store.runs AS r ON r.run_id = p.run_id
          LEFT JOIN recsys_store.models AS asked ON asked.name = "similar".model
          WHERE "similar".model IS NULL OR asked.model_id IS NOT NULL
      )
      AND s.movie_id = "similar".movie_id
      AND s.score > 0
    ORDER BY s.rank
    LIMIT "similar".n
$$;

COMMENT ON FUNCTION recsys.similar(integer, integer, text) IS
'The n movies most similar to a movie in the published run, by the named model or by the default one. Weights that speak against a movie are left out';
