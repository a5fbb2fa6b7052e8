CREATE OR REPLACE FUNCTION recsys.recommendations_as_of(
    user_id integer, at timestamptz, n integer DEFAULT 10
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer,
    movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.model, r.run_id, r.movie_key
    FROM recsys.recommendations_as_of_rows(
        recommendations_as_of.user_id, recommendations_as_of.at, recommendations_as_of.n
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommendations_as_of(integer, timestamptz, integer) IS
'The first n recommendations of the default model that were published for a user at a moment, as the run wrote them, including movies rated since. model is the model that produced the row; for a hybrid, the part it came from. No rows if nothing was published then, or nothing for this user; error RS004 if the results of that run were pruned';

CREATE OR REPLACE FUNCTION recsys.recommendations_as_of(
    user_key text, at timestamptz, n integer DEFAULT 10
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer,
    movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.model, r.run_id, r.movie_key
    FROM recsys.recommendations_as_of_rows(
        recsys.asked_user(recommendations_as_of.user_key), recommendations_as_of.at,
        recommendations_as_of.n
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommendations_as_of(text, timestamptz, integer) IS
'The same for a user by key';
