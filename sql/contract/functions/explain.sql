CREATE OR REPLACE FUNCTION recsys.explain(
    user_id integer, movie_id integer, model text DEFAULT NULL
)
RETURNS TABLE (
    because_movie_id integer, because_title text, rating double precision,
    weight double precision, similarity double precision, contribution double precision, share double precision,
    score double precision, source text, model text, exact boolean, shared_genres text[],
    shared_tags text[], run_id integer, because_movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        e.because_movie_id, e.because_title, e.rating, e.weight, e.similarity, e.contribution, e.share,
        e.score, e.source, e.model, e.exact, e.shared_genres, e.shared_tags, e.run_id,
        e.because_movie_key
    FROM recsys.explain_rows("explain".user_id, "explain".movie_id, "explain".model) AS e
$$;

COMMENT ON FUNCTION recsys.explain(integer, integer, text) IS
'Explains why recsys.recommend lists a movie for a user, or what supports a movie it does not list: the rated movies behind it, the strongest first. weight: what the rating counts, by its value and its age. contribution: weight times similarity, what each adds to score; the contributions add up to the score. exact: true if the model computes the score as this sum; otherwise the score is divided among the rated movies most similar to this one. source: as in recsys.recommend. model is the model that produced the row; for a hybrid, the part it came from. A row without because_movie_id: no rated movie is behind it, as in a chart. No rows: nothing supports the movie';

CREATE OR REPLACE FUNCTION recsys.explain(
    user_key text, movie_key text, model text DEFAULT NULL
)
RETURNS TABLE (
    because_movie_id integer, because_title text, rating double precision,
    weight double precision, similarity double precision, contribution double precision, share double precision,
    score double precision, source text, model text, exact boolean, shared_genres text[],
    shared_tags text[], run_id integer, because_movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        e.because_movie_id, e.because_title, e.rating, e.weight, e.similarity, e.contribution, e.share,
        e.score, e.source, e.model, e.exact, e.shared_genres, e.shared_tags, e.run_id,
        e.because_movie_key
    FROM recsys.explain_rows(
        recsys.asked_user("explain".user_key), recsys.asked_movie("explain".movie_key),
        "explain".model
    ) AS e
$$;

COMMENT ON FUNCTION recsys.explain(text, text, text) IS
'The same for a user and a movie by key';
