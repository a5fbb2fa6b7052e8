CREATE OR REPLACE FUNCTION recsys.pairs_with(
    run_id integer, model_id smallint, movie_id integer, rated integer[], given double precision[]
)
RETURNS TABLE (movie_id integer, rating double precision, similarity double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT g.movie_id, g.rating, coalesce(s.scores[p.place], s.real_scores[p.place])
    FROM unnest(pairs_with.rated, pairs_with.given) AS g (movie_id, rating)
    JOIN recsys_store.movie_similarities AS s ON s.movie_id = g.movie_id
    CROSS JOIN LATERAL (
        SELECT array_position(s.similar_movie_ids, pairs_with.movie_id) AS place
    ) AS p
    WHERE s.run_id = pairs_with.run_id
      AND s.model_id = pairs_with.model_id
      AND p.place IS NOT NULL
$$;

REVOKE ALL ON FUNCTION recsys.pairs_with(integer, smallint, integer, integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.pairs_with(integer, smallint, integer, integer[], double precision[]) IS
'Internal: the rated movies whose published lists hold a movie, and its similarity there';
