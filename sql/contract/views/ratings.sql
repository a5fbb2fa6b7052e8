CREATE OR REPLACE VIEW recsys.ratings AS
SELECT r.user_id, r.movie_id, m.title, r.rating, r.rated_at
FROM recsys_store.ratings AS r
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id;

COMMENT ON VIEW recsys.ratings IS 'Current ratings, one for each user and movie';
COMMENT ON COLUMN recsys.ratings.user_id IS 'The user who rated';
COMMENT ON COLUMN recsys.ratings.movie_id IS 'The movie rated';
COMMENT ON COLUMN recsys.ratings.title IS 'Its title';
COMMENT ON COLUMN recsys.ratings.rating IS 'The rating, on the scale of the edition';
COMMENT ON COLUMN recsys.ratings.rated_at IS 'Time of the rating; NULL if the source has none';
