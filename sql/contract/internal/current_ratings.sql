CREATE OR REPLACE FUNCTION recsys.current_ratings(user_id integer)
RETURNS TABLE (movie_ids integer[], given double precision[], rated_at timestamptz[])
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- By movie, because sums of scores depend on the order of their terms.
    SELECT array_agg(r.movie_id), array_agg(r.rating), array_agg(r.rated_at)
    FROM (
        SELECT o.movie_id, o.rating, o.rated_at FROM recsys_store.ratings AS o
        WHERE o.user_id = current_ratings.user_id
        ORDER BY o.movie_id
    ) AS r
$$;

REVOKE ALL ON FUNCTION recsys.current_ratings(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.current_ratings(integer) IS
'Internal: movies, ratings and their times of a user now, by movie; NULL without ratings';
