CREATE OR REPLACE FUNCTION recsys.eligible_movies(
    user_id integer, genre_ids smallint[], year_from integer, year_to integer, shown integer[]
)
RETURNS TABLE (movie_id integer, title text, movie_key text)
-- Inlined where it is joined: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT m.movie_id, m.title, m.key
    FROM recsys_store.movies AS m
    WHERE m.available
      AND NOT EXISTS (
            SELECT FROM recsys_store.ratings AS r
            WHERE r.user_id = eligible_movies.user_id AND r.movie_id = m.movie_id
        )
      AND NOT EXISTS (
            SELECT FROM recsys_store.blocks AS b
            WHERE b.user_id = eligible_movies.user_id
              AND b.movie_id = m.movie_id
              AND (b.until IS NULL OR b.until > now())
        )
      AND (
            eligible_movies.genre_ids IS NULL
            OR EXISTS (
                SELECT FROM recsys_store.movie_genres AS mg
                WHERE mg.movie_id = m.movie_id
                  AND mg.genre_id = ANY (eligible_movies.genre_ids)
            )
        )
      AND (eligible_movies.year_from IS NULL OR m.year >= eligible_movies.year_from)
      AND (eligible_movies.year_to IS NULL OR m.year <= eligible_movies.year_to)
      AND m.movie_id <> ALL (eligible_movies.shown)
$$;

REVOKE ALL ON FUNCTION recsys.eligible_movies(integer, smallint[], integer, integer, integer[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.eligible_movies(integer, smallint[], integer, integer, integer[]) IS
'Internal: the movies that may be recommended to a user: available, neither rated nor blocked, of any of the genres, within the years, inclusive, and not shown yet';
