CREATE OR REPLACE VIEW recsys.movie_factors AS
SELECT
    d.name AS model,
    f.movie_id,
    f.factors,
    f.bias,
    (SELECT p.run_id FROM recsys_store.published AS p) AS run_id,
    m.key AS movie_key
FROM recsys_store.movie_factors AS f
JOIN recsys_store.models AS d ON d.model_id = f.model_id
JOIN recsys_store.movies AS m ON m.movie_id = f.movie_id
-- A run of changed users shares the factors of movies of a full run.
WHERE f.run_id = (
    SELECT coalesce(r.shared_run_id, r.run_id) FROM recsys_store.runs AS r
    WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
);

COMMENT ON VIEW recsys.movie_factors IS 'Latent factors of movies in the published run: their products with those of a user score the movies';
COMMENT ON COLUMN recsys.movie_factors.model IS 'The model';
COMMENT ON COLUMN recsys.movie_factors.movie_id IS 'The movie';
COMMENT ON COLUMN recsys.movie_factors.factors IS 'Factors, as many for each movie of a model; empty for a model that learns biases only';
COMMENT ON COLUMN recsys.movie_factors.bias IS 'What is added to any predicted rating of the movie; 0 for a model without biases';
COMMENT ON COLUMN recsys.movie_factors.run_id IS 'The published run';
COMMENT ON COLUMN recsys.movie_factors.movie_key IS 'Key of the movie';
