CREATE OR REPLACE FUNCTION recsys.recommend_for(
    ratings jsonb,
    n integer DEFAULT 10,
    model text DEFAULT NULL,
    genres text[] DEFAULT NULL,
    year_from integer DEFAULT NULL,
    year_to integer DEFAULT NULL,
    by_id boolean DEFAULT false
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer, movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT r.rank, r.movie_id, r.title, r.score, r.source, r.model, r.run_id, r.movie_key
    FROM recsys.recommend_rows(
        NULL, coalesce(recommend_for.ratings, 'null'), recommend_for.n, recommend_for.model,
        recommend_for.genres, recommend_for.year_from, recommend_for.year_to, NULL,
        recommend_for.by_id
    ) AS r
$$;

COMMENT ON FUNCTION recsys.recommend_for(jsonb, integer, text, text[], integer, integer, boolean) IS
'Recommends n movies for the given ratings, such as {"1": 5.0, "260": 4}, without a user. The names are keys of movies; a whole number that is no key is an id, and with by_id each name is one. The rows are as in recsys.recommend, except that none comes from a stored list; nothing is saved';
