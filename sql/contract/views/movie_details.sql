CREATE OR REPLACE VIEW recsys.movie_details AS
SELECT
    m.movie_id,
    d.tagline,
    d.overview,
    d.release_date,
    d.runtime,
    d.original_language,
    d.collection,
    -- Subqueries, as in recsys.movies.
    ARRAY(
        SELECT p.name
        FROM recsys_store.movie_credits AS c
        JOIN recsys_store.people AS p ON p.person_id = c.person_id
        WHERE c.movie_id = m.movie_id AND c.role = 'director'
        ORDER BY c.position, c.person_id
    ) AS directors,
    ARRAY(
        SELECT p.name
        FROM recsys_store.movie_credits AS c
        JOIN recsys_store.people AS p ON p.person_id = c.person_id
        WHERE c.movie_id = m.movie_id AND c.role = 'cast'
        ORDER BY c.position, c.person_id
        LIMIT 10
    ) AS actors,
    ARRAY(
        SELECT k.name
        FROM recsys_store.movie_keywords AS mk
        JOIN recsys_store.keywords AS k ON k.keyword_id = mk.keyword_id
        WHERE mk.movie_id = m.movie_id
        ORDER BY k.name, k.keyword_id
    ) AS keywords,
    m.key AS movie_key
FROM recsys_store.movies AS m
LEFT JOIN recsys_store.movie_metadata AS d ON d.movie_id = m.movie_id;

COMMENT ON VIEW recsys.movie_details IS 'Metadata of each movie; NULL and empty for movies without metadata';
COMMENT ON COLUMN recsys.movie_details.movie_id IS 'The movie';
COMMENT ON COLUMN recsys.movie_details.tagline IS 'Advertising line';
COMMENT ON COLUMN recsys.movie_details.overview IS 'Plot in a few sentences';
COMMENT ON COLUMN recsys.movie_details.release_date IS 'Day of first release';
COMMENT ON COLUMN recsys.movie_details.runtime IS 'Minutes';
COMMENT ON COLUMN recsys.movie_details.original_language IS 'ISO 639-1 code';
COMMENT ON COLUMN recsys.movie_details.collection IS 'Series of films it belongs to';
COMMENT ON COLUMN recsys.movie_details.directors IS 'Names, in order of billing';
COMMENT ON COLUMN recsys.movie_details.actors IS 'Names of the first ten, in order of billing';
COMMENT ON COLUMN recsys.movie_details.keywords IS 'Ascending';
COMMENT ON COLUMN recsys.movie_details.movie_key IS 'Key of the movie';
