CREATE OR REPLACE FUNCTION recsys.explain(
    user_id integer, movie_id integer, model text DEFAULT NULL
)
RETURNS TABLE (
    because_movie_id integer, because_title text, rating double precision,
    similarity double precision, contribution double precision, share double precision,
    score double precision, source text, model text, exact boolean, shared_genres text[],
    shared_tags text[], run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        e.because_movie_id, e.because_title, e.rating, e.similarity, e.contribution, e.share,
        e.score, e.source, e.model, e.exact, e.shared_genres, e.shared_tags, e.run_id
    FROM recsys.explain_rows("explain".user_id, "explain".movie_id, "explain".model) AS e
$$;

COMMENT ON FUNCTION recsys.explain(integer, integer, text) IS
'Why recsys.recommend gives a user a movie, or what speaks for one it does not give: the rated movies that lead to it, the strongest first. contribution: what each adds to score, the score shown; they add up to it. exact: the score is the sum of these and nothing else; where false, the model has no such sum, and the score is divided among the rated movies it finds most like this one. model: the one that gave the row, of a hybrid the one it took it from. A row without because_movie_id: no rated movie leads to it, as with a chart. No rows: nothing speaks for it';
