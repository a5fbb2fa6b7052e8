CREATE OR REPLACE VIEW recsys.similar_movies AS
SELECT
    d.name AS model,
    l.movie_id,
    m.title,
    s.rank::smallint AS rank,
    s.similar_movie_id,
    o.title AS similar_title,
    s.score,
    (SELECT p.run_id FROM recsys_store.published AS p) AS run_id,
    m.key AS movie_key,
    o.key AS similar_movie_key
FROM recsys_store.movie_similarities AS l
-- In FROM, so that a join with the view reads lists by their key. In the list of columns unnest
-- would be faster, but every join would unnest all lists.
CROSS JOIN LATERAL unnest(
    l.similar_movie_ids, coalesce(l.scores, l.real_scores::double precision[])
) WITH ORDINALITY AS s (similar_movie_id, score, rank)
JOIN recsys_store.models AS d ON d.model_id = l.model_id
JOIN recsys_store.movies AS m ON m.movie_id = l.movie_id
JOIN recsys_store.movies AS o ON o.movie_id = s.similar_movie_id AND o.available
-- A run of changed users shares the similarities of a full run.
WHERE l.run_id = (
    SELECT coalesce(r.shared_run_id, r.run_id) FROM recsys_store.runs AS r
    WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
);

COMMENT ON VIEW recsys.similar_movies IS 'Nearest movies of each movie, by model, in the published run, without withdrawn neighbours';
COMMENT ON COLUMN recsys.similar_movies.model IS 'Model that found them similar';
COMMENT ON COLUMN recsys.similar_movies.movie_id IS 'The movie whose neighbours these are';
COMMENT ON COLUMN recsys.similar_movies.title IS 'Its title';
COMMENT ON COLUMN recsys.similar_movies.rank IS 'Place in the list, from 1';
COMMENT ON COLUMN recsys.similar_movies.similar_movie_id IS 'The neighbour';
COMMENT ON COLUMN recsys.similar_movies.similar_title IS 'Its title';
COMMENT ON COLUMN recsys.similar_movies.score IS 'Higher is nearer; see score_meaning in recsys.models. Negative weights count against the neighbour';
COMMENT ON COLUMN recsys.similar_movies.run_id IS 'The run that wrote it';
COMMENT ON COLUMN recsys.similar_movies.movie_key IS 'Key of the movie whose neighbours these are';
COMMENT ON COLUMN recsys.similar_movies.similar_movie_key IS 'Key of the neighbour';
