CREATE OR REPLACE FUNCTION recsys.similar_users(
    user_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, user_id integer, score double precision, common_ratings integer, model text,
    run_id integer, user_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank, s.user_id, s.score, s.common_ratings, s.model, s.run_id, s.user_key
    FROM recsys.similar_users_rows(
        similar_users.user_id, similar_users.n, similar_users.model
    ) AS s
$$;

COMMENT ON FUNCTION recsys.similar_users(integer, integer, text) IS
'The n users with the most similar taste in the published run, by the named model or by the run''s model that compares users. common_ratings: number of movies both have rated. No rows if the user has no neighbours or the named model compares no users. Error RS002 if the run does not have the model, or no model that compares users';

CREATE OR REPLACE FUNCTION recsys.similar_users(
    user_key text, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, user_id integer, score double precision, common_ratings integer, model text,
    run_id integer, user_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank, s.user_id, s.score, s.common_ratings, s.model, s.run_id, s.user_key
    FROM recsys.similar_users_rows(
        recsys.asked_user(similar_users.user_key), similar_users.n, similar_users.model
    ) AS s
$$;

COMMENT ON FUNCTION recsys.similar_users(text, integer, text) IS
'The same for a user by key';
