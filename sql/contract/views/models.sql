CREATE OR REPLACE VIEW recsys.models AS
SELECT name AS model, kind, score_meaning, description, prediction
FROM recsys_store.models;

COMMENT ON VIEW recsys.models IS 'The models that have been refreshed here';
COMMENT ON COLUMN recsys.models.model IS 'Name of the model everywhere: command line, SQL, Python';
COMMENT ON COLUMN recsys.models.kind IS 'chart: the same for all; similarity: movie to movie; personal: lists for users';
COMMENT ON COLUMN recsys.models.score_meaning IS 'What its score says';
COMMENT ON COLUMN recsys.models.description IS 'What it does, in short';
COMMENT ON COLUMN recsys.models.prediction IS 'From what predict_rating computes: factors, user_neighbours, movie_neighbours; NULL: it predicts no ratings';
