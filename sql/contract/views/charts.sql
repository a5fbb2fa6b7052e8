CREATE OR REPLACE VIEW recsys.charts AS
SELECT
    d.name AS chart,
    g.name AS genre,
    c.rank,
    c.movie_id,
    m.title,
    c.score,
    c.votes,
    c.mean_rating,
    (SELECT p.run_id FROM recsys_store.published AS p) AS run_id,
    m.key AS movie_key
FROM recsys_store.movie_charts AS c
JOIN recsys_store.models AS d ON d.model_id = c.model_id
JOIN recsys_store.movies AS m ON m.movie_id = c.movie_id AND m.available
LEFT JOIN recsys_store.genres AS g ON g.genre_id = c.genre_id
-- A run of changed users shares the charts of a full run.
WHERE c.run_id = (
    SELECT coalesce(r.shared_run_id, r.run_id) FROM recsys_store.runs AS r
    WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
);

COMMENT ON VIEW recsys.charts IS 'Ranked movies of the published run, the same for all users, without withdrawn movies';
COMMENT ON COLUMN recsys.charts.chart IS 'Name of the chart''s model, such as top_rated or most_rated';
COMMENT ON COLUMN recsys.charts.genre IS 'Genre of the chart; NULL: all movies';
COMMENT ON COLUMN recsys.charts.rank IS 'Place in the chart, from 1';
COMMENT ON COLUMN recsys.charts.movie_id IS 'The movie';
COMMENT ON COLUMN recsys.charts.title IS 'Its title';
COMMENT ON COLUMN recsys.charts.score IS 'Higher is better; see score_meaning in recsys.models';
COMMENT ON COLUMN recsys.charts.votes IS 'Number of ratings counted';
COMMENT ON COLUMN recsys.charts.mean_rating IS 'Mean of those ratings; NULL without any';
COMMENT ON COLUMN recsys.charts.run_id IS 'The run that wrote it';
COMMENT ON COLUMN recsys.charts.movie_key IS 'Key of the movie';
