CREATE OR REPLACE VIEW recsys.networks AS
SELECT
    l.run_id,
    d.name AS model,
    l.movie_ids,
    l.network,
    octet_length(l.network) AS bytes,
    r.ratings_mean,
    r.ratings_deviation
FROM recsys_store.networks AS l
JOIN recsys_store.models AS d ON d.model_id = l.model_id
JOIN recsys_store.runs AS r ON r.run_id = l.run_id
-- A run of changed users shares the networks of a full run.
WHERE l.run_id = (
    SELECT coalesce(s.shared_run_id, s.run_id) FROM recsys_store.runs AS s
    WHERE s.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
);

COMMENT ON VIEW recsys.networks IS 'Neural networks of the published run';
COMMENT ON COLUMN recsys.networks.run_id IS 'The run that trained it: the published run, or the full run whose results it shares';
COMMENT ON COLUMN recsys.networks.model IS 'The model';
COMMENT ON COLUMN recsys.networks.movie_ids IS 'The movie of each row of its arrays over movies';
COMMENT ON COLUMN recsys.networks.network IS 'Architecture and weights, in the form of the model; those of the built-in models are NumPy .npz files';
COMMENT ON COLUMN recsys.networks.bytes IS 'Size of network';
COMMENT ON COLUMN recsys.networks.ratings_mean IS 'Mean of the ratings it was trained on';
COMMENT ON COLUMN recsys.networks.ratings_deviation IS 'Their standard deviation';
