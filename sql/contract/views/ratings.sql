CREATE OR REPLACE VIEW recsys.ratings AS
SELECT r.user_id, r.movie_id, m.title, r.rating, r.rated_at
FROM recsys_store.ratings AS r
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id;

COMMENT ON VIEW recsys.ratings IS 'What people gave; one rating for a user and movie';
COMMENT ON COLUMN recsys.ratings.user_id IS 'Who rated';
COMMENT ON COLUMN recsys.ratings.movie_id IS 'What was rated';
COMMENT ON COLUMN recsys.ratings.title IS 'Its title';
COMMENT ON COLUMN recsys.ratings.rating IS 'The rating, on the scale of the edition';
COMMENT ON COLUMN recsys.ratings.rated_at IS 'When; NULL where the source does not say';
