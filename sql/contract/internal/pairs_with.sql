CREATE OR REPLACE FUNCTION recsys.pairs_with(
    run_id integer, movie_id integer,
    model_ids smallint[], movie_ids integer[], weights double precision[]
)
RETURNS TABLE (movie_id integer, weight double precision, similarity double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        g.movie_id, g.weight, coalesce(s.scores[p.place], s.real_scores[p.place])
    FROM unnest(pairs_with.model_ids, pairs_with.movie_ids, pairs_with.weights)
        AS g (model_id, movie_id, weight)
    JOIN recsys_store.movie_similarities AS s
        ON s.movie_id = g.movie_id AND s.model_id = g.model_id
    CROSS JOIN LATERAL (
        SELECT array_position(s.similar_movie_ids, pairs_with.movie_id) AS place
    ) AS p
    WHERE s.run_id = pairs_with.run_id
      AND p.place IS NOT NULL
$$;

REVOKE ALL ON FUNCTION recsys.pairs_with(integer, integer, smallint[], integer[], double precision[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.pairs_with(integer, integer, smallint[], integer[], double precision[]) IS
'Internal: the rated movies whose published lists hold a movie, what each rating counts, and the similarity there';
