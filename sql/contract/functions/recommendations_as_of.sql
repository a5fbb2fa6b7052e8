CREATE OR REPLACE FUNCTION recsys.recommendations_as_of(
    user_id integer, at timestamptz, n integer DEFAULT 10
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.model, r.run_id
    FROM recsys.recommendations_as_of_rows(
        recommendations_as_of.user_id, recommendations_as_of.at, recommendations_as_of.n
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommendations_as_of(integer, timestamptz, integer) IS
'The first n recommendations of the default model that were published for a user at a moment, as the run wrote them, whatever was rated since. model is the one that gave the row: of a hybrid, the one it took it from. No rows where nothing was published then or nothing for this user; an error where that run''s results are no longer kept';
