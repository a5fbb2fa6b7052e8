CREATE OR REPLACE FUNCTION recsys.stored_rows(
    run_id integer, model_id smallint, model text, user_id integer
)
RETURNS TABLE (rank smallint, movie_id integer, score double precision, model_name text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET. The caller sorts and limits: a
-- LIMIT in here would come before its conditions.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        u.rank, u.movie_id, u.score,
        CASE
            WHEN u.source_model_id IS NULL THEN stored_rows.model
            ELSE (SELECT s.name FROM recsys_store.models AS s WHERE s.model_id = u.source_model_id)
        END
    FROM recsys_store.user_recommendations AS u
    WHERE u.run_id = stored_rows.run_id
      AND u.model_id = stored_rows.model_id
      AND u.user_id = stored_rows.user_id
$$;

REVOKE ALL ON FUNCTION recsys.stored_rows(integer, smallint, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.stored_rows(integer, smallint, text, integer) IS
'Internal: the list that a run stored for a user and a model, with the model each row comes from';
