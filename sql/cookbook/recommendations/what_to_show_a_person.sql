-- Question: What do we show a person, and where does each row come from?
-- Read off: source is the origin of the row: stored by the run, live (recomputed from
--   current ratings), content, or chart; model is the model that produced it.
-- Change: The person 1, the number 10; recommend takes a model, genres and years as well.
SELECT r.rank, r.movie_id, r.title, m.year, m.genres, round(r.score::numeric, 4) AS score, r.source, r.model
FROM recsys.recommend(1, 10) AS r
JOIN recsys.movies AS m ON m.movie_id = r.movie_id
ORDER BY r.rank;
