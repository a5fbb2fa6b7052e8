CREATE OR REPLACE FUNCTION recsys.similar_users(
    user_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, user_id integer, score double precision, common_ratings integer, model text,
    run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank::integer, s.similar_user_id, s.score, s.common_ratings, d.name, s.run_id
    FROM recsys_store.user_similarities AS s
    JOIN recsys_store.models AS d ON d.model_id = s.model_id
    WHERE s.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
      AND s.model_id = (
          SELECT o.model_id FROM recsys_store.models AS o
          WHERE o.name = coalesce(similar_users.model, 'user_knn')
      )
      AND s.user_id = similar_users.user_id
    ORDER BY s.rank
    LIMIT similar_users.n
$$;

COMMENT ON FUNCTION recsys.similar_users(integer, integer, text) IS
'The n users of most similar taste in the published run, by the named model or by user_knn; common_ratings: movies both have rated. No rows where the run has no such model or nobody is near';
