CREATE OR REPLACE VIEW recsys.ratings AS
SELECT
    r.user_id, r.movie_id, m.title, r.rating, r.rated_at, u.key AS user_key, m.key AS movie_key
FROM recsys_store.ratings AS r
JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id
-- An outer join, which costs nothing where its column is not selected.
LEFT JOIN recsys_store.users AS u ON u.user_id = r.user_id;

COMMENT ON VIEW recsys.ratings IS 'Current ratings, one for each user and movie';
COMMENT ON COLUMN recsys.ratings.user_id IS 'The user who rated';
COMMENT ON COLUMN recsys.ratings.movie_id IS 'The movie rated';
COMMENT ON COLUMN recsys.ratings.title IS 'Its title';
COMMENT ON COLUMN recsys.ratings.rating IS 'The rating, on the scale of the edition';
COMMENT ON COLUMN recsys.ratings.rated_at IS 'Time of the rating; NULL if the source has none';
COMMENT ON COLUMN recsys.ratings.user_key IS 'Key of the user';
COMMENT ON COLUMN recsys.ratings.movie_key IS 'Key of the movie';
