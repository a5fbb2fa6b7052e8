CREATE OR REPLACE VIEW recsys.recommendations AS
SELECT d.name AS model, r.user_id, r.rank, r.movie_id, m.title, r.score, r.run_id,
    coalesce(s.name, d.name) AS source_model,
    recsys.label_of(
        CASE WHEN s.model_id IS NULL THEN d.labels ELSE s.labels END,
        CASE WHEN s.model_id IS NULL THEN d.label_bounds ELSE s.label_bounds END,
        r.score
    ) AS label
FROM recsys_store.user_recommendations AS r
JOIN recsys_store.models AS d ON d.model_id = r.model_id
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id
LEFT JOIN recsys_store.models AS s ON s.model_id = r.source_model_id
WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p);

COMMENT ON VIEW recsys.recommendations IS 'Stored recommendations of the published run, as it wrote them; recsys.recommend() leaves out movies rated or blocked since';
COMMENT ON COLUMN recsys.recommendations.model IS 'Model that recommends';
COMMENT ON COLUMN recsys.recommendations.user_id IS 'The user whose list this is';
COMMENT ON COLUMN recsys.recommendations.rank IS 'Place in the list, from 1';
COMMENT ON COLUMN recsys.recommendations.movie_id IS 'The movie recommended';
COMMENT ON COLUMN recsys.recommendations.title IS 'Its title';
COMMENT ON COLUMN recsys.recommendations.score IS 'Higher is better; see score_meaning of source_model in recsys.models';
COMMENT ON COLUMN recsys.recommendations.run_id IS 'The run that wrote it';
COMMENT ON COLUMN recsys.recommendations.source_model IS 'Model that computed the score: for a hybrid, the part the row came from; otherwise the model itself';
COMMENT ON COLUMN recsys.recommendations.label IS 'The score in words; NULL for models without labels';
