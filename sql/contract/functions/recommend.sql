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
    run_id integer, movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.source, r.model, r.run_id, r.movie_key
    FROM recsys.recommend_rows(
        recommend.user_id, NULL, recommend.n, recommend.model, recommend.genres,
        recommend.year_from, recommend.year_to
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommend(integer, integer, text, text[], integer, integer) IS
'Recommends n movies to a user, by the named model or the default one. The list starts with the rows stored by the published run (source stored) or, if the user''s ratings changed since, with movies recomputed from the current ratings and the published similarities (live). If the named model cannot be recomputed, another one is in its place (substitute). Movies similar in content to those rated follow (content), then the chart for users without ratings (chart). model is the model that produced the row; for a hybrid, the part it came from. Movies the user has rated or blocked are left out at once. The list has n rows if n movies match. genres: any of these, in any case; year_from, year_to: inclusive';

CREATE OR REPLACE FUNCTION recsys.recommend(
    user_key text,
    n integer DEFAULT 10,
    model text DEFAULT NULL,
    genres text[] DEFAULT NULL,
    year_from integer DEFAULT NULL,
    year_to integer DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer, movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.source, r.model, r.run_id, r.movie_key
    FROM recsys.recommend_rows(
        NULL, NULL, recommend.n, recommend.model, recommend.genres, recommend.year_from,
        recommend.year_to, recommend.user_key
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommend(text, integer, text, text[], integer, integer) IS
'The same for a user by key';
