CREATE OR REPLACE FUNCTION recsys.similar_users(
    user_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, user_id integer, score double precision, common_ratings integer, model text,
    run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank, s.user_id, s.score, s.common_ratings, s.model, s.run_id
    FROM recsys.similar_users_rows(
        similar_users.user_id, similar_users.n, similar_users.model
    ) AS s
$$;

COMMENT ON FUNCTION recsys.similar_users(integer, integer, text) IS
'The n users of most similar taste in the published run, by the named model or by the run''s own one that compares users; common_ratings: movies both have rated. No rows where nobody is near, or by a model that compares no users; a model the run does not have, or none that compares users: error RS002';
