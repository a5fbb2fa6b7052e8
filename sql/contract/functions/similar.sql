CREATE OR REPLACE FUNCTION recsys.similar(
    movie_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer,
    movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank, s.movie_id, s.title, s.score, s.model, s.run_id, s.movie_key
    FROM recsys.similar_rows("similar".movie_id, "similar".n, "similar".model) AS s
$$;

COMMENT ON FUNCTION recsys.similar(integer, integer, text) IS
'The n movies most similar to a movie in the published run, by the named model. Without a name: by the default model, or by another one if the default model has no neighbours of the movie. Negative weights are left out. An unknown movie: error P0002; a model the run does not have: RS002. No rows if the named model compares no movies';

CREATE OR REPLACE FUNCTION recsys.similar(
    movie_key text, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer,
    movie_key text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.rank, s.movie_id, s.title, s.score, s.model, s.run_id, s.movie_key
    FROM recsys.similar_rows(
        recsys.asked_movie("similar".movie_key), "similar".n, "similar".model
    ) AS s
$$;

COMMENT ON FUNCTION recsys.similar(text, integer, text) IS
'The same for a movie by key';
