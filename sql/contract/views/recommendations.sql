CREATE OR REPLACE VIEW recsys.recommendations AS
SELECT d.name AS model, l.user_id, r.rank::smallint AS rank, r.movie_id, m.title, r.score,
    (SELECT p.run_id FROM recsys_store.published AS p) AS run_id,
    coalesce(s.name, d.name) AS source_model,
    recsys.label_of(
        CASE WHEN s.model_id IS NULL THEN d.labels ELSE s.labels END,
        CASE WHEN s.model_id IS NULL THEN d.label_bounds ELSE s.label_bounds END,
        r.score
    ) AS label,
    u.key AS user_key,
    m.key AS movie_key
FROM recsys_store.user_recommendations AS l
-- In FROM, so that a join with the view reads lists by their key.
CROSS JOIN LATERAL unnest(l.movie_ids, l.scores, l.source_model_ids) WITH ORDINALITY
    AS r (movie_id, score, source_model_id, rank)
JOIN recsys_store.models AS d ON d.model_id = l.model_id
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id AND m.available
LEFT JOIN recsys_store.models AS s ON s.model_id = r.source_model_id
-- An outer join, which costs nothing where its column is not selected.
LEFT JOIN recsys_store.users AS u ON u.user_id = l.user_id
WHERE l.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
-- A run of changed users shares the lists that a full run stored for all others.
OR (
    l.run_id = (
        SELECT r.shared_run_id FROM recsys_store.runs AS r
        WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
    )
    AND NOT EXISTS (
        SELECT FROM recsys_store.run_users AS o
        WHERE o.run_id = (SELECT p.run_id FROM recsys_store.published AS p) AND o.user_id = l.user_id
    )
);

COMMENT ON VIEW recsys.recommendations IS 'Stored recommendations of the published run, as it wrote them, without withdrawn movies; recsys.recommend() also leaves out movies rated or blocked since';
COMMENT ON COLUMN recsys.recommendations.model IS 'Model that recommends';
COMMENT ON COLUMN recsys.recommendations.user_id IS 'The user whose list this is';
COMMENT ON COLUMN recsys.recommendations.rank IS 'Place in the list, from 1';
COMMENT ON COLUMN recsys.recommendations.movie_id IS 'The movie recommended';
COMMENT ON COLUMN recsys.recommendations.title IS 'Its title';
COMMENT ON COLUMN recsys.recommendations.score IS 'Higher is better; see score_meaning of source_model in recsys.models';
COMMENT ON COLUMN recsys.recommendations.run_id IS 'The run that wrote it';
COMMENT ON COLUMN recsys.recommendations.source_model IS 'Model that computed the score: for a hybrid, the part the row came from; otherwise the model itself';
COMMENT ON COLUMN recsys.recommendations.label IS 'The score in words; NULL for models without labels';
COMMENT ON COLUMN recsys.recommendations.user_key IS 'Key of the user';
COMMENT ON COLUMN recsys.recommendations.movie_key IS 'Key of the movie';
