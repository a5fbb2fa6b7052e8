CREATE OR REPLACE VIEW recsys.models AS
SELECT
    name AS model, kind, score_meaning, description, prediction, family, display_name, labels,
    label_bounds, cold_start_order, popularity_order, top_order
FROM recsys_store.models;

COMMENT ON VIEW recsys.models IS 'The models that have been refreshed here';
COMMENT ON COLUMN recsys.models.model IS 'Name of the model everywhere: command line, SQL, Python';
COMMENT ON COLUMN recsys.models.kind IS 'chart: the same for all; similarity: movie to movie; personal: lists for users';
COMMENT ON COLUMN recsys.models.score_meaning IS 'Meaning of its score';
COMMENT ON COLUMN recsys.models.description IS 'Short description';
COMMENT ON COLUMN recsys.models.prediction IS 'How predict_rating computes: factors, user_neighbours, movie_neighbours; NULL: the model does not predict ratings';
COMMENT ON COLUMN recsys.models.family IS 'Group of models it belongs to: charts, knn, content, factors, linear, sequential, neural, ensembles';
COMMENT ON COLUMN recsys.models.display_name IS 'Name shown on pages';
COMMENT ON COLUMN recsys.models.labels IS 'Words for its scores, best first, as returned by recsys.label; NULL: none';
COMMENT ON COLUMN recsys.models.label_bounds IS 'For each label the score it starts above; minus infinity for the last';
COMMENT ON COLUMN recsys.models.cold_start_order IS 'Order of preference among charts for users without ratings, lowest first; NULL: none';
COMMENT ON COLUMN recsys.models.popularity_order IS 'Order of preference among charts by number of ratings, lowest first; NULL: none';
COMMENT ON COLUMN recsys.models.top_order IS 'Order of preference among charts when none is named, lowest first; NULL: none';
