CREATE OR REPLACE FUNCTION recsys.run_of_user(
    run_id integer, shared_run_id integer, user_id integer
)
RETURNS TABLE (held_run_id integer)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- For a run that shares nothing the first condition is enough: no index is read.
    SELECT CASE
        WHEN run_of_user.shared_run_id IS NULL THEN run_of_user.run_id
        WHEN EXISTS (
            SELECT FROM recsys_store.run_users AS u
            WHERE u.run_id = run_of_user.run_id AND u.user_id = run_of_user.user_id
        ) THEN run_of_user.run_id
        ELSE run_of_user.shared_run_id
    END
$$;

REVOKE ALL ON FUNCTION recsys.run_of_user(integer, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.run_of_user(integer, integer, integer) IS
'Internal: the run that holds the results of a user which a run shows: the run itself or the one it shares';
