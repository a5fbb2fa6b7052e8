CREATE OR REPLACE FUNCTION recsys.recommend(
    user_id integer,
    n integer DEFAULT 10,
    model text DEFAULT NULL,
    genres text[] DEFAULT NULL,
    year_from integer DEFAULT NULL,
    year_to integer DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.source, r.model, r.run_id
    FROM recsys.recommend_rows(
        recommend.user_id, NULL, recommend.n, recommend.model, recommend.genres,
        recommend.year_from, recommend.year_to
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommend(integer, integer, text, text[], integer, integer) IS
'The n movies to recommend to a user by the named model or the default one. First the rows the published run stored (source stored); for whoever has rated since, the movies that the ratings as they are now lead to through its similarities (live); then movies like those rated (content), then the chart for users without ratings (chart). model is the one that gave the row: of a hybrid, the one it took it from. Never a movie the user has rated or blocked, not even a moment ago; n rows whenever n movies fit. genres: of any of these, in any case; year_from, year_to: inclusive';
