CREATE OR REPLACE FUNCTION recsys.stored_rows(
    run_id integer, model_id smallint, model text, user_id integer
)
RETURNS TABLE (rank integer, movie_id integer, score double precision, model_name text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET. The caller limits: a LIMIT in here
-- would come before its conditions.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        u.rank, u.movie_id, u.score,
        CASE
            WHEN u.source_model_id IS NULL THEN stored_rows.model
            ELSE (SELECT s.name FROM recsys_store.models AS s WHERE s.model_id = u.source_model_id)
        END
    FROM (
        SELECT
            generate_subscripts(l.scores, 1) AS rank,
            unnest(l.movie_ids) AS movie_id,
            unnest(l.scores) AS score,
            unnest(l.source_model_ids) AS source_model_id
        FROM recsys_store.user_recommendations AS l
        WHERE l.run_id = stored_rows.run_id
          AND l.model_id = stored_rows.model_id
          AND l.user_id = stored_rows.user_id
        -- Sorted before the caller's joins, which then stop at the last row wanted.
        ORDER BY rank
    ) AS u
$$;

REVOKE ALL ON FUNCTION recsys.stored_rows(integer, smallint, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.stored_rows(integer, smallint, text, integer) IS
'Internal: the list that a run stored for a user and a model, with the model each row comes from';
