CREATE OR REPLACE VIEW recsys.movies AS
SELECT
    m.movie_id,
    m.title,
    m.year,
    ARRAY(
        SELECT g.name
        FROM recsys_store.movie_genres AS mg
        JOIN recsys_store.genres AS g ON g.genre_id = mg.genre_id
        WHERE mg.movie_id = m.movie_id
        ORDER BY g.name
    ) AS genres,
    -- Subqueries, so that they cost nothing unless selected.
    (SELECT count(*) FROM recsys_store.ratings AS r WHERE r.movie_id = m.movie_id) AS ratings_count,
    (SELECT avg(r.rating) FROM recsys_store.ratings AS r WHERE r.movie_id = m.movie_id) AS ratings_mean,
    -- lpad would cut longer ids.
    'tt' || lpad(m.imdb_id::text, greatest(7, length(m.imdb_id::text)), '0') AS imdb_id,
    m.tmdb_id,
    (
        SELECT 'https://image.tmdb.org/t/p/w342' || d.poster_path
        FROM recsys_store.movie_metadata AS d
        WHERE d.movie_id = m.movie_id
    ) AS poster_url,
    m.key AS movie_key,
    m.available
FROM recsys_store.movies AS m;

COMMENT ON VIEW recsys.movies IS 'The movies of the catalogue, with counts and means of their current ratings';
COMMENT ON COLUMN recsys.movies.movie_id IS 'Number of the movie in this database; its key, if that is a free whole number';
COMMENT ON COLUMN recsys.movies.title IS 'Title without the year, its article in front';
COMMENT ON COLUMN recsys.movies.year IS 'Year of release; NULL if unknown';
COMMENT ON COLUMN recsys.movies.genres IS 'Names of its genres, ascending; empty if none is known';
COMMENT ON COLUMN recsys.movies.ratings_count IS 'Number of its current ratings';
COMMENT ON COLUMN recsys.movies.ratings_mean IS 'Mean of those ratings; NULL without any';
COMMENT ON COLUMN recsys.movies.imdb_id IS 'Id at IMDb, as tt0114709';
COMMENT ON COLUMN recsys.movies.tmdb_id IS 'Id at The Movie Database';
COMMENT ON COLUMN recsys.movies.poster_url IS 'Poster at TMDB''s image server; NULL without metadata';
COMMENT ON COLUMN recsys.movies.movie_key IS 'What the source calls the movie; for MovieLens the id as text';
COMMENT ON COLUMN recsys.movies.available IS 'Whether it may be recommended; false after recsys.set_available(movie_id, false)';
